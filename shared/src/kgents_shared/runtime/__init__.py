"""The process that runs a service, from start to end; the outermost layer, over `bus` and `contract`.

Some modules, in the order in which a start uses them:

    config     defaults, YAML and environment become typed values, or one list of every fault
    logging    every line, ours or a library's, becomes one JSON object (or coloured text) on stderr
    telemetry  metrics for Prometheus to fetch, spans for an OpenTelemetry collector
    probes     /livez, /readyz and /metrics over HTTP, while the service runs; probe_server  their HTTP server
    collector  the one way out of a collector: facts become messages, the heartbeat names what is unread
    detect     what a collector finds on this machine
    clock      time as an argument, so that tests control it
"""
