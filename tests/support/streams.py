from kgents_shared.contract.streams import StreamsConfig, streams


async def provision_streams(bus, config=None):
    session = await bus.session(timeout_s=10)
    for s in streams(StreamsConfig()):
        await session.api(
            "STREAM.CREATE." + s.name,
            {
                "name": s.name,
                "subjects": [s.subject],
                "max_msgs_per_subject": s.max_msgs_per_subject,
                "allow_direct": True,
                "allow_msg_ttl": True,
                "subject_delete_marker_ttl": int(60e9),
                "storage": "file",
                "compression": "s2",
            },
            dict,
        )
