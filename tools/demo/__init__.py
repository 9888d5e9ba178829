"""Makes the recording of `kgents up --demo`: a shop of real processes and servers, and an incident in it."""
