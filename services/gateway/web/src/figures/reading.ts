// The last figures of an entity, and when they are old. Pure.

import { MISSED } from "./gaps.ts";

const RESOURCES = ["cpu_percent", "memory_bytes", "memory_limit_bytes", "network_rx_bytes", "network_tx_bytes"] as const;
const OF_NATS = [
  "messages_per_sec", "delivered_per_sec", "in_msgs_per_sec", "out_msgs_per_sec", "delivered_msgs_per_sec",
  "messages", "pending_messages", "ack_pending", "pending_bytes", "connections",
] as const;

export const NAMES = [...RESOURCES, ...OF_NATS];
export type Name = (typeof NAMES)[number];

export interface Reading {
  /** Null: it applies and is not known; absent: it does not apply. */
  readonly figures: Readonly<Partial<Record<Name, number | null>>>;
  readonly at: string;
  readonly interval_s: number;
}

/** How old it is, if it is older than a figure may be; null: it is current. */
export function oldness(reading: { readonly at: string; readonly interval_s: number }, nowMs: number): number | null {
  const ageMs = nowMs - Date.parse(reading.at);
  return ageMs > MISSED * reading.interval_s * 1_000 ? ageMs : null;
}
