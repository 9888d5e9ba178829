// Systems for tests of the map: namespaces with workloads, pods and their nodes, databases and NATS, by a seed.

import type { Connection, Edge, Entity, Id, Level, Ref } from "../../src/store/entity.ts";
import { randoms } from "../../src/map/layout/random.ts";
import type { Changes, Shown } from "../../src/view.ts";

/** What a test changes, and a view is given. */
export class World implements Shown {
  readonly entities = new Map<Id, Entity>();
  #edges: ReadonlyMap<Id, readonly Edge[]> | null = null;

  put(...entities: Entity[]): void {
    for (const entity of entities) this.entities.set(entity.id, entity);
    this.#edges = null;
  }

  drop(id: Id): void {
    this.entities.delete(id);
    this.#edges = null;
  }

  *edges(): Iterable<Edge> {
    for (const [id, edges] of this.#byEntity()) for (const edge of edges) if (edge.source === id) yield edge;
  }

  edgesOf(id: Id): Iterable<Edge> {
    return this.#byEntity().get(id) ?? [];
  }

  #byEntity(): ReadonlyMap<Id, readonly Edge[]> {
    if (this.#edges !== null) return this.#edges;
    const edges = new Map<Id, Edge[]>([...this.entities.keys()].map((id) => [id, []]));
    const given = new Set<string>();
    for (const entity of this.entities.values()) {
      for (const each of entity.connections ?? []) {
        const peer = idOf(each.peer);
        const [source, target] = each.direction === "in" ? [peer, entity.id] : [entity.id, peer];
        const key = `${source} ${each.kind} ${target}`;
        if (given.has(key) || !this.entities.has(peer)) continue;
        given.add(key);
        for (const id of new Set([source, target])) edges.get(id)?.push({ source, target, kind: each.kind, traffic: each.traffic ?? null });
      }
    }
    this.#edges = edges;
    return edges;
  }

  /** The same system, seen in another order. */
  shuffled(seed: number): World {
    const random = randoms(seed);
    const ranked = [...this.entities.values()].map((each) => [random(), each] as const);
    const other = new World();
    other.put(...ranked.sort(([one], [two]) => one - two).map(([, each]) => each));
    return other;
  }
}

export const whole: Changes = { isWhole: true, upserted: new Set(), removed: new Set() };

export function changed(upserted: Iterable<Id>, removed: Iterable<Id> = []): Changes {
  return { isWhole: false, upserted: new Set(upserted), removed: new Set(removed) };
}

export function idOf({ cluster, kind, namespace, name }: Ref): Id {
  return [cluster, kind, namespace || "_", name].join(".");
}

export function ref(kind: string, name: string, namespace = "", cluster = "prod"): Ref {
  return { cluster, kind, name, namespace };
}

export function entity(of: Ref, level: Level | null = "healthy", more: Partial<Entity> = {}): Entity {
  const scores: Record<Level, number> = { critical: 0.2, warning: 0.6, unknown: 0, healthy: 1 };
  const health = level === null ? null : { text: "", score: scores[level], level };
  return { id: idOf(of), ref: of, text: "", status: "running", alerts: [], health, ...more };
}

export function to(kind: string, peer: Ref, more: Partial<Connection> = {}): Connection {
  return { kind, peer, ...more };
}

const words = ["shop", "pay", "search", "mail", "auth", "media", "ledger", "stock", "fleet", "maps", "chat", "ads"];
const apps = ["cart", "api", "web", "worker", "cache", "gate", "sync", "feed", "index", "queue"];

/** About `count` entities. */
export function system(count: number, seed = 1): World {
  const random = randoms(seed);
  const world = new World();
  const below = (limit: number): number => Math.floor(random() * limit);
  const level = (): Level => {
    const at = random();
    return at < 0.008 ? "critical" : at < 0.03 ? "warning" : at < 0.035 ? "unknown" : "healthy";
  };
  const nodes = Array.from({ length: Math.max(3, Math.ceil(count / 220)) }, (_, index) => ref("node", `node-${index + 1}`));
  world.put(...nodes.map((each) => entity(each, level())));
  const shared = [ref("database", "orders"), ref("database", "sessions"), ref("nats_server", "nats-0"), ref("nats_stream", "ORDERS")];
  world.put(...shared.map((each) => entity(each, level())));
  const services: Ref[] = [];
  for (let space = 0; world.entities.size < count; space++) {
    const namespace = `${words[space % words.length]}${space < words.length ? "" : `-${Math.floor(space / words.length)}`}`;
    world.put(entity(ref("namespace", namespace), null));
    const workloads = 1 + below(7);
    for (let app = 0; app < workloads && world.entities.size < count; app++) {
      const name = `${apps[(app + space) % apps.length]}`;
      const deployment = ref("deployment", name, namespace);
      const service = ref("service", name, namespace);
      const config = ref("configmap", `${name}-config`, namespace);
      const secret = ref("secret", `${name}-token`, namespace);
      const replicas = 1 + below(below(3) === 0 ? 14 : 4);
      const desired = { "k8s.deployment.desired_pods": replicas, "kgents.k8s.deployment.ready_pods": replicas };
      world.put(entity(deployment, level(), { attributes: desired }), entity(config), entity(secret, null));
      const pods: Ref[] = [];
      for (let replica = 0; replica < replicas; replica++) {
        const pod = ref("pod", `${name}-${space.toString(36)}${replica.toString(36)}x${app}`, namespace);
        pods.push(pod);
        const connections = [
          to("owns", deployment, { direction: "in" }),
          to("runs_on", nodes[below(nodes.length)] as Ref),
          to("configures", config, { direction: "in" }),
          to("configures", secret, { direction: "in" }),
        ];
        if (services.length > 0 && random() < 0.06) {
          connections.push(to("http", services[below(services.length)] as Ref, { traffic: { requests_per_sec: 1 + below(200) } }));
        }
        if (random() < 0.05) connections.push(to("network", shared[below(shared.length)] as Ref));
        const attributes = { "kgents.k8s.pod.cpu.request": 0.1 + random() };
        const status = random() < 0.01 ? "pending" : "running";
        world.put(entity(pod, level(), { connections, attributes, status }));
        if (random() < 0.5) {
          world.put(entity(ref("container", `${pod.name}/main`, namespace), level(), { connections: [to("owns", pod, { direction: "in" })] }));
        }
      }
      const routes = pods.map((pod) =>
        to("routes", pod, random() < 0.3 ? { traffic: { requests_per_sec: 1 + below(80), error_rate: 0 } } : {}),
      );
      world.put(entity(service, level(), { connections: routes, attributes: { "k8s.service.type": "ClusterIP" } }));
      services.push(service);
      if (random() < 0.2) world.put(entity(ref("volume", `${name}-data`, namespace), level(), { connections: [to("volume", pods[0] as Ref, { direction: "in" })] }));
    }
  }
  return world;
}
