// What is not known of the moment that an answer is about, as sentences; nothing where all is known.

import type { Model } from "../model.ts";
import { sentencesOf } from "../store/forgotten.ts";

/** Both as the gateway's answers have them. */
export interface Known {
  readonly forgotten: readonly string[];
  readonly remarks: readonly string[];
}

export function isAllKnown({ forgotten, remarks }: Known): boolean {
  return forgotten.length === 0 && remarks.length === 0;
}

export function NotKnown({ model, of }: { model: Model; of: Known }) {
  const said = [...sentencesOf(of.forgotten), ...of.remarks.map((each) => `${model.localized(each)}.`)];
  return (
    <>
      {said.map((each) => (
        <p key={each} class="soft">
          {each}
        </p>
      ))}
    </>
  );
}
