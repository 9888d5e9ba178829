// Bytes of a `text/event-stream` → frames, as the HTML standard has it. Pure.

export interface Frame {
  /** What it is; a heartbeat (a comment) is `heartbeat`. */
  readonly event: string;
  /** The decoded JSON. */
  readonly data: unknown;
  /** Names what the client has after this frame; empty: as before. */
  readonly id: string;
}

/** Takes the text as it arrives, in any pieces, and gives every frame that is complete. */
export class FrameReader {
  #rest = "";

  take(text: string): Frame[] {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => frameOf(block) ?? []);
  }
}

function frameOf(block: string): Frame | null {
  let event = "message";
  let id = "";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) return { event: "heartbeat", data: Number(line.slice(1)), id: "" };
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "id") id = value;
    else if (name === "data") data.push(value);
  }
  return data.length === 0 ? null : { event, data: JSON.parse(data.join("\n")), id };
}
