// What goes wrong on the way, and what the typed client makes of it: against a running service, with a network that this file breaks.

import assert from "node:assert/strict";
import { Refusal, Yiyong, answered, type Tokens } from "./yiyong.js";

const { YIYONG_API: base = "", YIYONG_USERNAME: username = "", YIYONG_PASSWORD: password = "" } = process.env;
const sent: Request[] = [];
let network = (request: Request) => fetch(request);
let kept: Tokens | undefined;
const yiyong = new Yiyong({
  base,
  patience: 2,
  onTokens: (tokens) => (kept = tokens),
  fetch: (request) => {
    sent.push(request);
    return network(request);
  },
});
const { api } = yiyong;
const of = (path: string) => sent.filter((request) => new URL(request.url).pathname === path);
await yiyong.signIn(username, password);

// The access token ends while six requests are under way: it is renewed once, and all of them get their answers.
assert(kept);
yiyong.use({ ...kept, access_token: kept.access_token.replace(/.{8}$/, "AAAAAAAA") });
const all = await Promise.all(Array.from({ length: 6 }, () => answered(api.GET("/api/v1/auth/me"))));
assert(all.every(({ data }) => data.username === username));
assert.equal(of("/api/v1/auth/refresh").length, 1, "renewed once for all");

// An answer is lost after the deed was done: the retry says the same key, and nothing is done twice.
const county = (await answered(api.GET("/api/v1/organizations", { params: { query: { code: "zz-gaoxin" } } }))).data.items[0];
assert(county);
let losses = 1;
network = async (request) => {
  const answer = await fetch(request);
  if (request.method === "POST" && losses-- > 0) throw new TypeError("the answer was lost");
  return answer;
};
const name = "梧桐街道见义勇为工作站";
await api.POST("/api/v1/workstations", { body: { organization_id: county.id, name, host_kind: "sub_district" } });
const found = await answered(api.GET("/api/v1/workstations", { params: { query: { organization_id: county.id, count: true } } }));
const keys = of("/api/v1/workstations").filter(({ method }) => method === "POST").map(({ headers }) => headers.get("Idempotency-Key"));
assert.deepEqual([found.data.total, keys.length, new Set(keys).size], [1, 2, 1]);

// Too often: waited for as told. Too long: told to the user, with how long.
const problem = (wait: string, status: number) =>
  Response.json({ type: "x", title: "x", status, code: "too_many_requests", instance: "/", request_id: "r" }, { status, headers: { "Retry-After": wait } });
let refusals = 2;
network = (request) => (refusals-- > 0 ? Promise.resolve(problem("0", refusals ? 429 : 503)) : fetch(request));
assert.equal((await answered(api.GET("/api/v1/auth/me"))).data.username, username);
network = () => Promise.resolve(problem("60", 429));
const told = await api.GET("/api/v1/auth/me").catch((error: unknown) => error);
assert(told instanceof Refusal && told.retryAfter === 60 && told.status === 429);

// A proxy's page instead of a problem is a refusal too.
network = () => Promise.resolve(new Response("<html>Bad Gateway</html>", { status: 502 }));
const bad = await api.GET("/api/v1/auth/me").catch((error: unknown) => error);
assert(bad instanceof Refusal && bad.status === 502, String(bad));

// The session has ended elsewhere: the tokens are gone, and the page for signing in can be shown.
network = (request) => fetch(request);
const session = kept;
await yiyong.signOut();
yiyong.use(session);
const ended = await api.GET("/api/v1/auth/me").catch((error: unknown) => error);
assert(ended instanceof Refusal && ended.status === 401);
assert.equal(kept, undefined);
console.log("trouble is dealt with");
