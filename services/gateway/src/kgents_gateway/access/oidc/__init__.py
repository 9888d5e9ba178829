"""People log in at an OpenID provider: authorization code with PKCE. Imported only where it is configured."""
