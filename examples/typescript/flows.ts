// The main flows of a front end, against a running service: YIYONG_API, YIYONG_USERNAME and YIYONG_PASSWORD say where and who.
// An administrator of the city association can do all of them. Copy from here.

import assert from "node:assert/strict";
import { Refusal, Yiyong, answered, every, type Schemas } from "./yiyong.js";

const { YIYONG_API: base = "http://127.0.0.1:8080", YIYONG_USERNAME: username = "", YIYONG_PASSWORD: password = "" } = process.env;
const yiyong = new Yiyong({ base, language: "zh" });
const { api } = yiyong;

// Sign in. Whoever has just got a first password may do nothing but change it.
const { must_change_password } = await yiyong.signIn(username, password);
assert(!must_change_password, "change the password first: POST /auth/change-password");
const { data: me } = await answered(api.GET("/api/v1/auth/me"));
console.log(`signed in as ${me.name}`);

// The counties, all of them, by code.
const counties: Schemas["Organization"][] = [];
const ofCounties = { kind: ["county_association" as const], sort: "code" as const, limit: 100 };
for await (const county of every((cursor) => api.GET("/api/v1/organizations", { params: { query: { ...ofCounties, cursor } } }))) {
  counties.push(county);
}
const county = counties[0];
assert(county, "there is no county yet");
console.log(`${counties.length} counties: ${counties.map((one) => one.short_name ?? one.name).join("、")}`);

// A form that is not right: each message belongs beside the field that its pointer names.
const draft = { organization_id: county.id, name: "少林街道见义勇为工作站", host_kind: "sub_district" } satisfies Schemas["WorkstationDraft"];
const wrong = await refusal(api.POST("/api/v1/workstations", { body: { ...draft, name: "", longitude: 200, latitude: 34.5 } }));
assert.equal(wrong.code, "validation_failed");
assert.deepEqual(wrong.faults.map((fault) => fault.pointer).sort(), ["/longitude", "/name"]);
console.log(`beside the name: ${wrong.at("/name")}`);

// Create a workstation, and two more for a list.
const { data: station, etag } = await answered(api.POST("/api/v1/workstations", { body: draft }));
for (const name of ["大冶镇见义勇为工作站", "唐庄镇见义勇为工作站"]) {
  await api.POST("/api/v1/workstations", { body: { ...draft, name, host_kind: "township" } });
}
assert(station.allowed_actions.includes("update"), "what may be done with a record stands in it: show buttons by that");

// Change it: the ETag says which version was changed, so that nobody overwrites what they have not seen.
const path = { id: station.id };
const change = { address: "登封市少林大道 1 号" };
const changed = await answered(
  api.PATCH("/api/v1/workstations/{id}", { params: { path, header: { "If-Match": etag } }, body: change }),
);
assert.equal(changed.data.address, change.address);
const stale = await refusal(
  api.PATCH("/api/v1/workstations/{id}", { params: { path, header: { "If-Match": etag } }, body: { host_name: "少林街道办事处" } }),
);
assert.deepEqual([stale.status, stale.code], [412, "stale_version"]);
// Somebody else was faster: read it again, show what has changed, and let the user decide.
const fresh = await answered(api.GET("/api/v1/workstations/{id}", { params: { path } }));
assert.equal(fresh.etag, changed.etag);
console.log(`changed once, and refused once: ${stale.message}`);

// A list with a filter, two a page; the first page also counts.
const filter = { organization_id: county.id, host_kind: ["sub_district" as const, "township" as const], status: "active" as const, limit: 2 };
const first = await answered(api.GET("/api/v1/workstations", { params: { query: { ...filter, count: true } } }));
const names: string[] = [];
for await (const one of every((cursor) => api.GET("/api/v1/workstations", { params: { query: { ...filter, cursor } } }))) names.push(one.name);
assert.equal(names.length, first.data.total);
assert(first.data.next_cursor !== null && names.length >= 3, "more than a page");
console.log(`${names.length} workstations by pages of two`);

// A photo. Its links need no token for a while, so that a picture tag can show it.
const photo = new File([Buffer.from(onePixel(), "base64")], "大门.png");
const attachment = await yiyong.attach("workstations", station.id, photo, "大门");
assert(attachment.links.thumbnail, "a picture has a thumbnail");
const shown = await fetch(new URL(attachment.links.thumbnail, base));
assert.deepEqual([shown.status, shown.headers.get("Content-Type")], [200, "image/jpeg"]);
console.log(`${attachment.file_name}: ${attachment.width}×${attachment.height}`);

// A figure, and the records behind it: `records_url` is the list with the very filter that was computed over.
const { data: catalogue } = await answered(api.GET("/api/v1/figures"));
const { code } = catalogue.items.find((one) => one.code === "organizations.county_associations") ?? assert.fail("no such figure");
const year = 2022;
const { data: figure } = await answered(api.GET("/api/v1/figures/{code}", { params: { path: { code }, query: { year } } }));
const behind = new URL(figure.records_url, base);
const query = Object.fromEntries(behind.searchParams) as { organization_id?: string };
assert.equal(behind.pathname, "/api/v1/organizations");
const { data: records } = await answered(api.GET("/api/v1/organizations", { params: { query: { ...query, count: true } } }));
assert.deepEqual([figure.value, records.total], [counties.length, figure.records]);
console.log(`${figure.label_zh}：${figure.value}${figure.unit_zh}`);

// The annual report: figures by chapter, each with the year before.
const { data: report } = await answered(api.GET("/api/v1/reports/annual/{year}", { params: { path: { year } } }));
for (const { title_zh, figures } of report.sections) console.log(`${title_zh}: ${figures.length} figures`);
const before: number | null | undefined = report.sections[0]?.figures[0]?.year_before.value;
assert.notEqual(before, undefined);

// The inbox: what is new, and that it is read.
const { data: inbox } = await answered(api.GET("/api/v1/notifications", { params: { query: { unread: true, count: true } } }));
console.log(`${inbox.total} news`);
for (const news of inbox.items) {
  await api.POST("/api/v1/notifications/{id}/read", { params: { path: { id: news.id } } });
  console.log(`read: ${news.title}`);
}
const { data: left } = await answered(api.GET("/api/v1/notifications", { params: { query: { unread: true, count: true } } }));
assert.equal(left.total, (inbox.total ?? 0) - inbox.items.length);

// Codes with their labels, for menus.
const { data: dictionaries } = await answered(api.GET("/api/v1/dictionaries"));
const label = dictionaries["HostKind"]?.find((entry) => entry.code === station.host_kind)?.label_zh;
assert.equal(label, "街道");

// Sign out: the session ends everywhere at once.
await yiyong.signOut();
const gone = await refusal(api.GET("/api/v1/auth/me"));
assert.deepEqual([gone.status, gone.code], [401, "unauthenticated"]);
console.log("signed out");

async function refusal(asked: Promise<unknown>): Promise<Refusal> {
  const told = await asked.catch((error: unknown) => error);
  if (told instanceof Refusal) return told;
  throw told instanceof Error ? told : new Error("it was not refused");
}

/** The smallest picture. */
function onePixel() {
  return "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
}
