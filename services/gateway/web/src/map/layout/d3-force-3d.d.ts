// The part of d3-force-3d that the layout uses; the package brings no types.
declare module "d3-force-3d" {
  export interface Body {
    index?: number;
    x?: number;
    y?: number;
    z?: number;
  }
  export interface Force<B extends Body> {
    (alpha: number): void;
    initialize?(bodies: B[], ...rest: unknown[]): void;
  }
  export interface Simulation<B extends Body> {
    force(name: string, force: Force<B>): this;
    alphaDecay(decay: number): this;
    velocityDecay(decay: number): this;
    stop(): this;
    tick(count: number): this;
  }
  export interface LinkForce<B extends Body> extends Force<B> {
    distance(of: (link: { source: B; target: B }) => number): this;
  }
  export interface ManyBodyForce<B extends Body> extends Force<B> {
    strength(of: number): this;
    distanceMax(distance: number): this;
    theta(theta: number): this;
  }
  export interface CollideForce<B extends Body> extends Force<B> {
    iterations(count: number): this;
  }
  export interface AxisForce<B extends Body> extends Force<B> {
    strength(of: number): this;
  }
  export function forceSimulation<B extends Body>(bodies: B[], dimensions: 1 | 2 | 3): Simulation<B>;
  export function forceLink<B extends Body>(links: { source: number; target: number }[]): LinkForce<B>;
  export function forceManyBody<B extends Body>(): ManyBodyForce<B>;
  export function forceCollide<B extends Body>(radius: (body: B) => number): CollideForce<B>;
  export function forceX<B extends Body>(to: number | ((body: B) => number)): AxisForce<B>;
  export function forceY<B extends Body>(to: number | ((body: B) => number)): AxisForce<B>;
  export function forceZ<B extends Body>(to: number | ((body: B) => number)): AxisForce<B>;
}
