"use strict";

/* What a login gave. Tokens are put into fields of this page and nowhere else: no cookie, no
   storage. */

function offerTokens(session) {
  const ends = new Date(Date.now() + session.expires_in * 1000);
  const time = ends.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  element("access").value = session.access_token;
  element("refresh").value = session.refresh_token;
  element("expiry").textContent = `Works until ${time}.`;
  element("session").hidden = false;
}

function forgetTokens() {
  element("session").hidden = true;
  element("session").reset();
}

async function copy(button) {
  const field = element(button.dataset.copies);
  field.select();
  // Browsers give the clipboard to pages with TLS only. What is selected can be copied by hand.
  try {
    await navigator.clipboard.writeText(field.value);
    element("copied").textContent = "Copied.";
  } catch {
    element("copied").textContent = "It is selected: copy it by keyboard.";
  }
}

for (const button of document.querySelectorAll("button[data-copies]")) {
  button.addEventListener("click", () => copy(button));
}

// A page that was left may be kept, and shown again by the back button.
addEventListener("pagehide", forgetTokens);
