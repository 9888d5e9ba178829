"""Which path answers which question. Pure."""

from typing import Final

QUESTIONS: Final = (
    ("/api/infra/topology", "topology"),
    ("/api/infra/health", "health"),
    ("/api/infra/metrics/{entity_id}", "metrics"),
    ("/api/db/metrics", "databases"),
    ("/api/v1/entities", "topology"),
    ("/api/v1/entities/{entity_id}", "entity"),
    ("/api/v1/entities/{entity_id}/health", "entity.health"),
    ("/api/v1/entities/{entity_id}/history", "entity.history"),
    ("/api/v1/entities/{entity_id}/versions", "entity.versions"),
    ("/api/v1/entities/{entity_id}/impact", "entity.impact"),
    ("/api/v1/entities/{entity_id}/metrics", "metrics"),
    ("/api/v1/entities/{entity_id}/neighbours", "entity.neighbours"),
    ("/api/v1/alerts", "alerts"),
    ("/api/v1/cost", "cost"),
    ("/api/v1/diff", "diff"),
    ("/api/v1/events", "events"),
    ("/api/v1/follow", "follow"),
    ("/api/v1/health", "health"),
    ("/api/v1/incidents", "incidents"),
    ("/api/v1/incidents/{incident_id}", "incident"),
    ("/api/v1/metrics", "metrics.last"),
    ("/api/v1/path", "path"),
    ("/api/v1/pipeline", "pipeline"),
    ("/api/v1/search", "search"),
    ("/api/v1/silences", "silences"),
)
"""The paths under `/api/infra` and `/api/db` are those of the project's mission; all others are under `/api/v1`."""

ENTITY_STREAMS: Final = ("/api/infra/topology/stream", "/api/v1/stream/entities")
EVENT_STREAMS: Final = ("/api/infra/events/stream", "/api/v1/stream/events")
ACKNOWLEDGEMENT: Final = "/api/v1/incidents/{incident_id}/acknowledgement"
SILENCE: Final = "/api/v1/silences/{cluster}/{silence_id}"
IDENTITY: Final = "/api/v1/identity"
OPENAPI: Final = "/api/openapi.json"
PAGE: Final = "/"
ASSETS: Final = "/assets/{name}"
"""The web view."""
