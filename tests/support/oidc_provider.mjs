// An OpenID provider, certified as one, with people that a test names: ISSUER SETTINGS.
const [, , home, issuer, given] = process.argv;
const { Provider } = await import(`${home}/node_modules/oidc-provider/lib/index.js`);
const { client, jwks, people, inToken } = JSON.parse(given);
const provider = new Provider(issuer, {
  clients: [client],
  jwks,
  cookies: { keys: ["of a test"] },
  scopes: ["openid", "profile", "groups"],
  claims: { openid: ["sub"], profile: ["name"], groups: ["groups"] },
  conformIdTokenClaims: !inToken,
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub, groups: people[sub] }) }),
});
provider.listen(Number(new URL(issuer).port), "127.0.0.1", () => console.log("ready"));
