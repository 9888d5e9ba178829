// The official SDK of JavaScript as a sender of OTLP/JSON: HOME ENDPOINT CALLS. Each call also sends a message.
import { createRequire } from "node:module";

const [, , home, endpoint, calls] = process.argv;
const require = createRequire(`${home}/node_modules/`);
const { context, SpanKind, trace, ROOT_CONTEXT } = require("@opentelemetry/api");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, TracerProvider } = require("@opentelemetry/sdk-trace");

const providers = Object.fromEntries(
  ["js-frontend", "js-cart", "js-mailer"].map((name) => {
    const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, compression: "gzip" });
    const resource = resourceFromAttributes({ "service.name": name });
    return [name, new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter })] })];
  }),
);
const span = (name, kind, attributes, { parent = ROOT_CONTEXT, links = [] } = {}) =>
  providers[name].getTracer("test").startSpan("x", { kind, attributes, links, startTime: Date.now() - 10 }, parent);

const sent = { "messaging.system": "kafka", "messaging.destination.name": "orders", "server.address": "broker" };
for (let call = 0; call < Number(calls); call += 1) {
  const asks = { "http.request.method": "GET", "server.address": "js-cart", "server.port": 80 };
  const client = span("js-frontend", SpanKind.CLIENT, asks);
  const parent = trace.setSpan(context.active(), client);
  span("js-cart", SpanKind.SERVER, { "http.request.method": "GET" }, { parent }).end();
  client.end();
  const producer = span("js-cart", SpanKind.PRODUCER, sent);
  producer.end();
  span("js-mailer", SpanKind.CONSUMER, sent, { links: [{ context: producer.spanContext() }] }).end();
}
await Promise.all(Object.values(providers).map((each) => each.shutdown()));
