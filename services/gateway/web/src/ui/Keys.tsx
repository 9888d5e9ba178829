// Which keys do what, and a way to turn the single ones off: speech input presses them by accident.

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { TEXTS } from "../texts.ts";
import { Icon } from "./Icon.tsx";

const STORED = "kgents.keys";

export const areKeysOn = signal(localStorage.getItem(STORED) !== "off");

export function Keys({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const turn = (event: { currentTarget: HTMLInputElement }) => {
    areKeysOn.value = event.currentTarget.checked;
    localStorage.setItem(STORED, areKeysOn.value ? "on" : "off");
  };
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <div class="panel-head">
        <h2 id="keys-title">{TEXTS.keysTitle}</h2>
        <button type="button" class="plain" aria-label={TEXTS.close} onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </div>
      <dl class="pairs">
        {TEXTS.keysList.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label class="choice">
        <input type="checkbox" checked={areKeysOn.value} onChange={turn} />
        <span>{TEXTS.keysEnabled}</span>
      </label>
    </dialog>
  );
}
