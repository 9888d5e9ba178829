// Arranges islands beside the page, so that it never waits for it.

import { Layout, type LayoutRequest } from "./layout.ts";

const layout = new Layout();

self.onmessage = ({ data }: MessageEvent<LayoutRequest>): void => {
  const answer = layout.answer(data);
  const buffers = answer.islands.flatMap((each) => (each.positions === null ? [] : [each.positions.buffer]));
  self.postMessage(answer, { transfer: buffers });
};
