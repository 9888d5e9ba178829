"""The messages of Prometheus' remote write, by their published definitions."""

from kgents_collector_otel.mapping.metric_wire import classes

PUBLISHED = classes(
    "test.prometheus",
    {
        "WriteRequest": ("timeseries 1 *TimeSeries", "metadata 3 *Metadata"),
        "TimeSeries": ("labels 1 *Label", "samples 2 *Sample", "exemplars 3 *Exemplar", "histograms 4 *Histogram"),
        "Label": ("name 1 string", "value 2 string"),
        "Sample": ("value 1 double", "timestamp 2 int64"),
        "Exemplar": ("labels 1 *Label", "value 2 double", "timestamp 3 int64"),
        "Histogram": ("count_int 1 uint64", "sum 3 double", "timestamp 15 int64"),
        "Metadata": ("type 1 int32", "metric_family_name 2 string"),
        "Request": ("symbols 4 *string", "timeseries 5 *Series"),
        "Series": (
            "labels_refs 1 *uint32",
            "samples 2 *Sample",
            "histograms 3 *Histogram",
            "exemplars 4 *Exemplar",
            "created_timestamp 6 int64",
        ),
    },
)
