// Asks for a token, where the gateway does.

import { useLayoutEffect, useRef } from "preact/hooks";
import { TEXTS } from "../texts.ts";
import { logIn } from "../token.ts";

export function Login({ wasGiven }: { wasGiven: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    if (text !== "") logIn(text);
  };
  return (
    <dialog ref={dialog} class="login" aria-labelledby="login-title" onCancel={(event) => event.preventDefault()}>
      <h2 id="login-title">{TEXTS.loginTitle}</h2>
      <form onSubmit={submit}>
        <label class="field">
          <span>{TEXTS.token}</span>
          <input ref={field} type="password" autocomplete="current-password" required spellcheck={false} />
        </label>
        <p class="soft" role="status">
          {wasGiven ? TEXTS.tokenRefused : TEXTS.tokenHint}
        </p>
        <button type="submit" class="primary">
          {TEXTS.logIn}
        </button>
        <a href="login">{TEXTS.loginOther}</a>
      </form>
    </dialog>
  );
}
