// From registering to a closed issue, by nothing but the generated types and openapi-fetch.
// SERVER is the server's address, MAILS the directory with its mails. Prints what it did.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { createBugtracker, type Bugtracker, type Problem, type Schemas } from "../src/client.js";

const PASSWORD = "Tide-Table-1843";

type Answer<T> = { data?: T; error?: Problem; response: Response };

/** The data of an answer that must have gone well. */
function good<T>(answer: Answer<T>): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

/** What went wrong, which something must have. */
function problemOf(answer: Answer<unknown>): Problem {
  assert.ok(answer.error, `answered ${answer.response.status}`);
  return answer.error;
}

/** Waits for something to be there; whoever started this has the clock. */
async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(50);
  }
}

async function mailedToken(email: string): Promise<string | undefined> {
  const directory = env("MAILS");
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".eml")) continue;
    const mail = (await readFile(join(directory, name), "utf8")).replace(/=\r?\n/g, "").replace(/=3D/g, "=");
    if (!mail.toLowerCase().includes(`to: ${email}`)) continue;
    return /#action=verify-email&token=([\w-]+)/.exec(mail)?.[1];
  }
  return undefined;
}

function env(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

async function loggedIn(): Promise<Bugtracker> {
  const anonymous = createBugtracker(env("SERVER"));
  const username = `ts-${randomBytes(6).toString("hex")}`;
  const email = `${username}@example.com`;
  const person = { email, username, password: PASSWORD, org_name: "Analytical Engines" };
  good(await anonymous.POST("/api/auth/register", { body: person }));
  const token = await eventually(() => mailedToken(email));
  good(await anonymous.POST("/api/auth/verify-email", { body: { token } }));
  const login = good(await anonymous.POST("/api/auth/login", { body: { username, password: PASSWORD } }));
  assert.ok("access_token" in login);
  return createBugtracker(env("SERVER"), login.access_token);
}

async function closeCriticalIssue(ada: Bugtracker, project_id: string): Promise<void> {
  const issue = good(
    await ada.POST("/api/projects/{project_id}/issues", {
      params: { path: { project_id } },
      body: { title: "The tide table is an hour off", priority: "critical" },
    }),
  );
  const params = { path: { issue_id: issue.key } };
  const move = (status: Schemas["IssueStatus"]) =>
    ada.PATCH("/api/issues/{issue_id}", { params, body: { status } });
  good(await move("in_progress"));
  good(await move("resolved"));
  assert.equal(problemOf(await move("closed")).code, "issue_comment_required");
  const body = { content: "Summer time." };
  good(await ada.POST("/api/issues/{issue_id}/comments", { params, body }));
  assert.equal(good(await move("closed")).status, "closed");
}

async function pageToTheEnd(ada: Bugtracker, project_id: string): Promise<void> {
  const path = { project_id };
  for (const title of ["One", "Two", "Three"]) {
    const params = { path };
    good(await ada.POST("/api/projects/{project_id}/issues", { params, body: { title } }));
  }
  const titles: string[] = [];
  let cursor: string | undefined;
  do {
    const query = { status: ["open", "reopened"] as Schemas["IssueStatus"][], sort: "created_at" as const, limit: 2, cursor };
    const page: Schemas["IssuePage"] | Schemas["IssueFieldsPage"] = good(
      await ada.GET("/api/projects/{project_id}/issues", { params: { path, query } }),
    );
    titles.push(...page.items.map((issue) => issue.title ?? ""));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  assert.deepEqual(titles, ["One", "Two", "Three"]);
}

async function handleProblem(ada: Bugtracker, project_id: string): Promise<void> {
  const params = { path: { project_id } };
  const answer = await ada.POST("/api/projects/{project_id}/issues", { params, body: { title: "" } });
  const problem = problemOf(answer);
  assert.deepEqual([answer.response.status, problem.code], [400, "request_invalid"]);
  assert.deepEqual(new Set(problem.errors?.map((each) => each.pointer)), new Set(["/title"]));
}

async function receiveWebhook(ada: Bugtracker, project_id: string): Promise<void> {
  const received: { body: string; headers: Record<string, string> }[] = [];
  const receiver = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    received.push({
      body: Buffer.concat(parts).toString(),
      headers: request.headers as Record<string, string>,
    });
    response.writeHead(204).end();
  });
  await new Promise<void>((ready) => receiver.listen(0, "127.0.0.1", ready));
  const { port } = receiver.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/hook`;
  const made = good(
    await ada.POST("/api/webhooks", { body: { url, event_types: ["issue.created"] } }),
  );
  const params = { path: { project_id } };
  const issue = good(
    await ada.POST("/api/projects/{project_id}/issues", { params, body: { title: "Heard of" } }),
  );
  const message = await eventually(() => received[0]);
  const event = new Webhook(made.secret).verify(message.body, message.headers) as Schemas["WebhookMessage"];
  assert.deepEqual([event.type, event.data.resource.id], ["issue.created", issue.id]);
  receiver.close();
}

const ada = await loggedIn();
const key = `T${randomBytes(3).toString("hex").toUpperCase()}`;
const project = good(await ada.POST("/api/projects", { body: { name: "Tidal Library System", key } }));
await closeCriticalIssue(ada, project.id);
await pageToTheEnd(ada, project.id);
await handleProblem(ada, project.id);
await receiveWebhook(ada, project.id);
console.log("registered, closed, paged, refused, received");
