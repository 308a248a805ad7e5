"use strict";

/* What a mailed link asks for is in its fragment (#action=…&token=…), which no server gets to see.
   Opening the page does nothing: mail scanners and previews open links too. The button does. */

/* One entry per action: where the token goes, what the page says before, and, given the answer's
   JSON, after it; the field that a new password goes into, and whether it is asked for at once or
   when the answer wants an account. `done` may also give `session`, the tokens to be offered, or
   `next` and `token` instead: another such entry to go on with. All texts are put into the page as
   text. */
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
  [
    "reset-password",
    {
      path: "/api/auth/password/reset",
      title: "Set a new password",
      text: "Choose a new password. Whoever is logged in to the account will be logged out.",
      button: "Set the password",
      passwordField: "new_password",
      asksForPassword: true,
      done: (answer) => ({
        title: "The password is set.",
        detail: `Log in as ${answer.username} or ${answer.email} with the new password.`,
      }),
    },
  ],
  [
    "magic-link",
    {
      path: "/api/auth/magic-link/login",
      title: "Log in",
      text: "Press the button to log in without a password. The link works once.",
      button: "Log in",
      done: (answer) =>
        answer.challenge === undefined
          ? loggedIn(answer)
          : { next: SECOND_FACTOR, token: answer.challenge },
    },
  ],
  [
    "accept-invitation",
    {
      path: "/api/invitations/accept",
      title: "Accept the invitation",
      text: "Press the button to join the organisation that the mail names.",
      button: "Accept the invitation",
      passwordField: "password",
      done: (answer) => ({
        title: `You are in ${answer.organisation}.`,
        detail: `Log in as ${answer.username} or ${answer.email}; your role is ${answer.role}.`,
      }),
    },
  ],
]);

/* What a login goes on with where the account has a second factor: the token is its challenge. */
const SECOND_FACTOR = {
  path: "/api/auth/login/two-factor",
  title: "Enter a code",
  text:
    "The link was right. This account also wants a code from your authenticator, within a few " +
    "minutes. Without it, a backup code does, once.",
  button: "Log in",
  asksForCode: true,
  done: (answer) => loggedIn(answer),
};

/* Too many requests and faults of the server pass; these the person can put right. In each case the
   token is still good. */
const CORRECTABLE = new Set([
  "password_too_weak",
  "account_required",
  "username_taken",
  "two_factor_invalid",
]);

function loggedIn(answer) {
  return {
    title: "You are logged in.",
    detail: "Copy the tokens into your program now: this page keeps them nowhere.",
    session: answer,
  };
}

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
    code: problem?.code,
    title: problem?.title ?? "That did not work.",
    detail: problem?.detail ?? `The server answered with status ${response.status}.`,
  };
}

function input(action, token) {
  if (action.asksForCode) {
    // Authenticators show a space in the middle, and it is copied along.
    return { challenge: token, code: element("code").value.replace(/\s/g, "") };
  }
  const asked = (id, field) =>
    element(id).required ? { [field]: element(id).value } : {};
  return { token, ...asked("username", "username"), ...asked("password", action.passwordField) };
}

async function post(action, token) {
  const response = await fetch(action.path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(input(action, token)),
    credentials: "omit",
    cache: "no-store",
  });
  if (response.ok) {
    return { kind: "good", message: action.done(await response.json()), again: false };
  }
  const problem = await readProblem(response);
  const typed = element("form").querySelector("input:required") !== null;
  const again =
    response.status === 429 ||
    response.status >= 500 ||
    CORRECTABLE.has(problem.code) ||
    (typed && problem.code === "request_invalid");
  return { kind: "bad", message: problem, again };
}

async function press({ action, token }) {
  const button = element("button");
  button.disabled = true;
  const { kind, message, again } = await post(action, token).catch(() => ({
    kind: "bad",
    message: { title: "The server cannot be reached.", detail: "Try again in a moment." },
    again: true,
  }));
  button.disabled = false;
  if (message.next) {
    ask(message.next, message.token);
    element("code").focus();
    return;
  }
  say(kind, message);
  if (message.session) {
    offerTokens(message.session);
  }
  element("form").hidden = element("text").hidden = !again;
  if (message.code === "account_required") {
    askForAccount();
    element("username").focus();
    return;
  }
  // The button had the focus and may be gone.
  const wanted = action.asksForCode ? element("code") : button;
  (again ? wanted : element("result")).focus();
  if (!again) {
    step = null;
    element("form").reset();
  }
}

function askForAccount() {
  element("account").hidden = false;
  element("username").required = true;
  askForPassword();
}

function askForPassword() {
  const [password, repeated] = [element("password"), element("repeated")];
  const compare = () =>
    repeated.setCustomValidity(password.value === repeated.value ? "" : "It is not the same.");
  password.required = repeated.required = true;
  password.addEventListener("input", compare);
  repeated.addEventListener("input", compare);
  element("passwords").hidden = false;
}

function askForCode() {
  element("code").required = true;
  element("codes").hidden = false;
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

/* What the button does: an action and the token for it. Null where there is nothing (more) to do. */
let step = null;

function ask(action, token) {
  step = { action, token };
  element("title").textContent = action.title;
  element("text").textContent = action.text;
  element("button").textContent = action.button;
  element("result").replaceChildren();
  if (action.asksForPassword) {
    askForPassword();
  }
  if (action.asksForCode) {
    askForCode();
  }
  element("form").hidden = false;
  document.title = `${action.title} – Bugtracker`;
}

function start() {
  const link = readLink();
  const action = ACTIONS.get(link.action);
  if (action === undefined || link.token === "") {
    refuse(link);
  } else {
    ask(action, link.token);
  }
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (step !== null) {
    press(step);
  }
});

// Another link pasted into the same tab changes the fragment only and would not load the page.
addEventListener("hashchange", () => {
  if (location.hash !== "") location.reload();
});

start();
