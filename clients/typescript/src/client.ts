import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

/** The objects of the API by name: `Schemas["Issue"]`. */
export type Schemas = components["schemas"];

/** What is wrong, with every refusal: decide by `code`. */
export type Problem = Schemas["Problem"];

export type Bugtracker = Client<paths>;

/** A client of the server at `baseUrl`; `token` is an access token or an API key. */
export function createBugtracker(baseUrl: string, token?: string): Bugtracker {
  return createClient<paths>({
    baseUrl,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    // Lists in queries are one value: `status=open,reopened`.
    querySerializer: { array: { style: "form", explode: false } },
  });
}
