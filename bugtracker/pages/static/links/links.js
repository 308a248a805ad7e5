"use strict";

/* What a mailed link asks for is in its fragment (#action=…&token=…), which no server gets to see.
   Opening the page does nothing: mail scanners and previews open links too. The button does. */

/* One entry per action: where the token goes, what the page says before, and, given the answer's
   JSON, after it. All texts are put into the page as text. */
const ACTIONS = new Map([
  [
    "verify-email",
    {
      path: "/api/auth/verify-email",
      title: "Confirm your e-mail address",
      text:
        "Press the button to confirm that the address this mail came to is yours. " +
        "Do not press it if the username in the mail is not the one you chose.",
      button: "Confirm the address",
      done: (answer) => ({
        title: "The address is confirmed.",
        detail: `${answer.email} belongs to ${answer.username}, who can log in now.`,
      }),
    },
  ],
]);

const element = (id) => document.getElementById(id);

function readLink() {
  const values = new URLSearchParams(location.hash.slice(1));
  // The token must not stay in the history, in a bookmark or in a shared screen.
  history.replaceState(null, "", location.pathname + location.search);
  return { action: values.get("action") ?? "", token: values.get("token") ?? "" };
}

function say(kind, message) {
  const title = document.createElement("strong");
  title.textContent = message.title;
  const paragraph = document.createElement("p");
  paragraph.append(title, message.detail);
  element("result").className = kind;
  element("result").replaceChildren(paragraph);
}

async function readProblem(response) {
  // Whatever stands between us and the API may answer in its own way.
  const problem = await response.json().catch(() => null);
  return {
    title: problem?.title ?? "That did not work.",
    detail: problem?.detail ?? `The server answered with status ${response.status}.`,
  };
}

async function post(action, token) {
  const response = await fetch(action.path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
    credentials: "omit",
    cache: "no-store",
  });
  if (response.ok) {
    return { kind: "good", message: action.done(await response.json()), again: false };
  }
  // Too many requests, or a fault of the server: the token may still be good.
  const again = response.status === 429 || response.status >= 500;
  return { kind: "bad", message: await readProblem(response), again };
}

async function press(action, token) {
  const button = element("button");
  button.disabled = true;
  const { kind, message, again } = await post(action, token).catch(() => ({
    kind: "bad",
    message: { title: "The server cannot be reached.", detail: "Try again in a moment." },
    again: true,
  }));
  say(kind, message);
  button.disabled = false;
  button.hidden = element("text").hidden = !again;
  // The button had the focus and may be gone.
  (again ? button : element("result")).focus();
}

function refuse(link) {
  if (!link.action && !link.token) {
    say("", { title: "There is no link here.", detail: "Open the link in the mail once more." });
  } else {
    say("bad", {
      title: "This link is not complete, or not known here.",
      detail: "Open the link in the mail once more, or copy all of it into the address bar.",
    });
  }
}

function start() {
  const link = readLink();
  const action = ACTIONS.get(link.action);
  if (action === undefined || link.token === "") {
    refuse(link);
    return;
  }
  element("title").textContent = action.title;
  element("text").textContent = action.text;
  element("button").textContent = action.button;
  element("button").hidden = false;
  element("button").addEventListener("click", () => press(action, link.token));
  document.title = `${action.title} – Bugtracker`;
}

// Another link pasted into the same tab changes the fragment only and would not load the page.
addEventListener("hashchange", () => {
  if (location.hash !== "") location.reload();
});

start();
