// Mouse and finger on the map → hover, click and open. A drag is none of them: it moves the eye.

export interface Spot {
  /** From the upper left corner of the element. */
  readonly x: number;
  readonly y: number;
}

export interface Gestures {
  /** At most once a frame; null: the pointer has left. */
  hover(at: Spot | null): void;
  /** `isOther`: with Shift, the other end of a path. */
  click(at: Spot, isOther: boolean): void;
  /** Twice at one place. */
  open(at: Spot): void;
}

/** A hand that only clicks moves by less. */
const dragPixels = 5;

export class Pointer {
  readonly #ends: (() => void)[] = [];
  #down: Spot | null = null;
  #waiting: Spot | null = null;
  #frame = 0;

  constructor(
    private readonly element: HTMLElement,
    private readonly gestures: Gestures,
  ) {
    this.#on("pointermove", (event) => this.#hover(event));
    this.#on("pointerleave", () => gestures.hover(null));
    this.#on("pointerdown", (event) => (this.#down = this.#spot(event)));
    this.#on("pointerup", (event) => this.#up(event));
    this.#on("dblclick", (event) => gestures.open(this.#spot(event)));
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const end of this.#ends) end();
  }

  #on<Name extends "pointermove" | "pointerleave" | "pointerdown" | "pointerup" | "dblclick">(
    name: Name,
    listener: (event: HTMLElementEventMap[Name]) => void,
  ): void {
    this.element.addEventListener(name, listener);
    this.#ends.push(() => this.element.removeEventListener(name, listener));
  }

  #hover(event: PointerEvent): void {
    if (event.buttons !== 0 || event.pointerType === "touch") return;
    this.#waiting = this.#spot(event);
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.gestures.hover(this.#waiting);
    });
  }

  #up(event: PointerEvent): void {
    const [from, to] = [this.#down, this.#spot(event)];
    this.#down = null;
    if (event.button === 0 && from !== null && Math.hypot(to.x - from.x, to.y - from.y) < dragPixels) this.gestures.click(to, event.shiftKey);
  }

  #spot({ clientX, clientY }: MouseEvent): Spot {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }
}
