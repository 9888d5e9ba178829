// The token that the gateway may ask for. It lives as long as the tab, and goes nowhere but into the header of requests.

import { signal } from "@preact/signals";

const STORED = "kgents.token";

export const token = signal(sessionStorage.getItem(STORED) ?? "");
/** The token, or none, with which the gateway refused us; null: it answers. */
export const refused = signal<string | null>(null);
/** Grows with every try, also of the same token. */
export const tries = signal(0);

export function logIn(text: string): void {
  sessionStorage.setItem(STORED, text);
  token.value = text;
  tries.value += 1;
}

export function logOut(): void {
  sessionStorage.removeItem(STORED);
  location.reload();
}

/** Of every request. */
export function identification(): Record<string, string> {
  return token.value === "" ? {} : { authorization: `Bearer ${token.value}` };
}

/** To be called with every answer. */
export function noteRefusal(response: Response): void {
  if (response.status === 401) refused.value = token.value;
  else if (response.ok) refused.value = null;
}
