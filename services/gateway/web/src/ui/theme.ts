// Dark or light: as the system has it, until a person says otherwise.

import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light";

const STORED = "kgents.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const themeNow = signal<Theme>(stored() ?? (system.matches ? "dark" : "light"));

export function keepTheme(): void {
  system.addEventListener("change", () => {
    if (stored() === null) themeNow.value = system.matches ? "dark" : "light";
  });
  effect(() => {
    document.documentElement.dataset["theme"] = themeNow.value;
  });
}

export function choose(theme: Theme): void {
  themeNow.value = theme;
  localStorage.setItem(STORED, theme);
}

function stored(): Theme | null {
  const found = localStorage.getItem(STORED);
  return found === "dark" || found === "light" ? found : null;
}
