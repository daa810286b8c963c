// A small typed client: openapi-fetch over the types of the contract (`npm run types`), and what every front end needs besides.

import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./contract.js";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];
export type Tokens = Schemas["Tokens"];

/** A refusal of the service. `code` is for programs, `message` for people, in the language that was asked for. */
export class Refusal extends Error {
  constructor(
    readonly problem: Problem,
    /** Seconds to wait, where the service names them. */
    readonly retryAfter: number | undefined,
  ) {
    super(problem.detail ?? problem.title);
    this.name = "Refusal";
  }
  get code() {
    return this.problem.code;
  }
  get status() {
    return this.problem.status;
  }
  /** Quote it when asking for help. */
  get requestId() {
    return this.problem.request_id;
  }
  /** Everything that is wrong with what was sent, each with the JSON pointer of its field. */
  get faults() {
    return this.problem.errors ?? [];
  }
  /** What to show beside a field. */
  at(pointer: string): string | undefined {
    return this.faults.find((fault) => fault.pointer === pointer)?.message;
  }
}

export interface Options {
  /** Where the service is, without `/api/v1`. */
  base: string;
  language?: "zh" | "en";
  /** How often one request is sent at most. */
  tries?: number;
  /** A client that may wait longest before it tells its user, in seconds. */
  patience?: number;
  /** Called with new tokens, or with nothing once they are gone: to keep them, and to show the page for signing in. */
  onTokens?: (tokens: Tokens | undefined) => void;
  fetch?: (request: Request) => Promise<Response>;
}

const pause = (seconds: number) => new Promise((done) => setTimeout(done, seconds * 1000));

export class Yiyong {
  /** Every operation of the contract: `api.GET("/api/v1/workstations", …)`. A refusal is thrown. */
  readonly api: Client<paths, "application/json">;
  private tokens: Tokens | undefined;
  private renewing: Promise<void> | undefined;

  constructor(private readonly options: Options) {
    this.api = createClient<paths, "application/json">({
      baseUrl: options.base,
      fetch: (request) => this.send(request),
      // Several values of a filter stand between commas.
      querySerializer: { array: { style: "form", explode: false } },
    });
  }

  async signIn(username: string, password: string): Promise<Tokens> {
    const { data } = await answered(this.api.POST("/api/v1/auth/login", { body: { username, password } }));
    this.use(data);
    return data;
  }

  /** Goes on with tokens that were kept. */
  use(tokens: Tokens | undefined) {
    this.tokens = tokens;
    this.options.onTokens?.(tokens);
  }

  async signOut() {
    await this.api.POST("/api/v1/auth/logout");
    this.use(undefined);
  }

  /** Adds a file to a record. */
  async attach(resource: string, recordId: string, file: File, caption?: string) {
    // A contract can only call the bytes of a file a string.
    const body = { resource, record_id: recordId, file: file as unknown as string, ...(caption ? { caption } : {}) };
    const { data } = await answered(this.api.POST("/api/v1/attachments", { body, bodySerializer: asForm }));
    return data;
  }

  /** One request until there is an answer: with the token, once more with a new one, and again when the answer is lost or told to wait for. */
  private async send(request: Request): Promise<Response> {
    request.headers.set("Accept-Language", this.options.language ?? "zh");
    if (request.method !== "GET" && !request.headers.has("Idempotency-Key")) {
      // The same for every try, so that nothing is done twice.
      request.headers.set("Idempotency-Key", crypto.randomUUID());
    }
    // Whoever signs in, or renews, has no use for a token; and these work once.
    const open = /\/auth\/(login|refresh|token|wechat\/(login|bind))$/.test(new URL(request.url).pathname);
    let renewed = open;
    for (let tried = 1; ; tried++) {
      const token = open ? undefined : this.tokens?.access_token;
      if (token) request.headers.set("Authorization", `Bearer ${token}`);
      const last = open || tried >= (this.options.tries ?? 4);
      let response: Response;
      try {
        // A body can be read once, so each try sends a copy.
        response = await (this.options.fetch ?? fetch)(request.clone());
      } catch (lost) {
        if (last) throw lost;
        await pause(0.2 * 2 ** tried * Math.random());
        continue;
      }
      if (response.ok || response.status === 304) return response;
      if (response.status === 401 && token && this.tokens?.refresh_token && !renewed) {
        renewed = true;
        if (token === this.tokens.access_token) await this.renew(this.tokens.refresh_token);
        continue;
      }
      const refusal = await refused(response);
      const wait = refusal.retryAfter;
      const busy = response.status === 429 || response.status === 503;
      if (!busy || wait === undefined || wait > (this.options.patience ?? 10) || last) throw refusal;
      await pause(wait);
    }
  }

  /** A refresh token works once: whoever needs a new token meanwhile waits for the same. */
  private renew(refresh_token: string): Promise<void> {
    this.renewing ??= answered(this.api.POST("/api/v1/auth/refresh", { body: { refresh_token } }))
      .then(({ data }) => this.use(data))
      .catch((error: unknown) => {
        if (error instanceof Refusal && error.status === 401) this.use(undefined);
        throw error;
      })
      .finally(() => (this.renewing = undefined));
    return this.renewing;
  }
}

async function refused(response: Response): Promise<Refusal> {
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const told: unknown = await response.json().catch(() => undefined);
  const { status, url } = response;
  // What stands between, such as a proxy, has words of its own.
  const problem = isProblem(told)
    ? told
    : ({ type: "about:blank", title: `HTTP ${status}`, status, code: "internal", instance: url, request_id: "" } satisfies Problem);
  return new Refusal(problem, Number.isNaN(wait) ? undefined : wait);
}

function isProblem(told: unknown): told is Problem {
  return typeof told === "object" && told !== null && "code" in told && "request_id" in told;
}

function asForm(body: object): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) form.append(name, value as string | Blob);
  return form;
}

/** The body of an answer, and its ETag for a change. */
export async function answered<T>(asked: Promise<{ data?: T; response: Response }>): Promise<{ data: NonNullable<T>; etag: string }> {
  const { data, response } = await asked;
  if (data === undefined || data === null) throw new Error(`${response.url} answered ${response.status} without a body`);
  return { data, etag: response.headers.get("ETag") ?? "" };
}

/** All records of a list, page by page: `for await (const one of every((cursor) => api.GET(…, { params: { query: { cursor } } })))`. */
export async function* every<T>(
  page: (cursor: string | undefined) => Promise<{ data?: { items: T[]; next_cursor: string | null }; response: Response }>,
): AsyncGenerator<T, void> {
  let cursor: string | undefined;
  do {
    const { data } = await answered(page(cursor));
    yield* data.items;
    cursor = data.next_cursor ?? undefined;
  } while (cursor);
}
