// Which shape, base size and height an entity of a kind has on the map. Pure.

export type Shape =
  | "torus"
  | "sphere"
  | "octahedron"
  | "dodecahedron"
  | "cube"
  | "cone"
  | "cylinder"
  | "box"
  | "icosahedron"
  | "tetrahedron"
  | "prism";

/** Each is drawn with one call, so there are few. */
export const SHAPES: readonly Shape[] = [
  "sphere",
  "box",
  "cube",
  "dodecahedron",
  "octahedron",
  "cylinder",
  "cone",
  "icosahedron",
  "tetrahedron",
  "prism",
  "torus",
];

/** What the entities of a kind look like before anything is known of one of them. */
export interface KindLook {
  readonly shape: Shape;
  /** Radius in units of the map. */
  readonly size: number;
  /** Height in the 3D map, in layers: what takes requests is above what answers them, storage is below. */
  readonly layer: number;
}

const looks: Readonly<Record<string, KindLook>> = {
  namespace: { shape: "torus", size: 0.85, layer: 0 },
  ingress: { shape: "octahedron", size: 0.5, layer: 3 },
  gateway: { shape: "octahedron", size: 0.5, layer: 3 },
  httproute: { shape: "octahedron", size: 0.4, layer: 3 },
  grpcroute: { shape: "octahedron", size: 0.4, layer: 3 },
  service: { shape: "octahedron", size: 0.5, layer: 2 },
  app: { shape: "octahedron", size: 0.5, layer: 2 },
  deployment: { shape: "dodecahedron", size: 0.5, layer: 1 },
  statefulset: { shape: "dodecahedron", size: 0.5, layer: 1 },
  daemonset: { shape: "dodecahedron", size: 0.5, layer: 1 },
  replicaset: { shape: "dodecahedron", size: 0.4, layer: 1 },
  cronjob: { shape: "dodecahedron", size: 0.4, layer: 1 },
  job: { shape: "dodecahedron", size: 0.4, layer: 1 },
  pod: { shape: "sphere", size: 0.4, layer: 0 },
  container: { shape: "cube", size: 0.34, layer: -0.5 },
  nats_server: { shape: "cone", size: 0.65, layer: 0 },
  nats_stream: { shape: "cylinder", size: 0.5, layer: 1 },
  nats_subject: { shape: "cone", size: 0.42, layer: 2 },
  nats_consumer: { shape: "tetrahedron", size: 0.38, layer: 1 },
  nats_client: { shape: "cube", size: 0.34, layer: 2 },
  database: { shape: "cylinder", size: 0.6, layer: 0 },
  collection: { shape: "cylinder", size: 0.4, layer: 0.5 },
  pooler: { shape: "cylinder", size: 0.4, layer: 1 },
  volume: { shape: "box", size: 0.42, layer: -1 },
  configmap: { shape: "icosahedron", size: 0.34, layer: -1 },
  secret: { shape: "tetrahedron", size: 0.3, layer: -1 },
  node: { shape: "prism", size: 0.75, layer: -1 },
  host: { shape: "prism", size: 0.75, layer: -1 },
};

const unknownKind: KindLook = { shape: "box", size: 0.42, layer: 0 };

/** A kind that is not known is a box. */
export function lookOf(kind: string): KindLook {
  return Object.hasOwn(looks, kind) ? (looks[kind] ?? unknownKind) : unknownKind;
}
