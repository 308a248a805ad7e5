"use strict";

const reference = document.getElementById("reference");
// What the reader's machine has: nothing is loaded from elsewhere.
const text = "system-ui, sans-serif";

Redoc.init(
  "/openapi.json",
  {
    jsonSamplesExpandLevel: 3,
    nativeScrollbars: true,
    sortRequiredPropsFirst: true,
    theme: {
      spacing: { sectionVertical: 24 },
      typography: { fontFamily: text, headings: { fontFamily: text } },
    },
  },
  reference,
);

// Redoc moves the list that its current item is in, where it is the menu around that scrolls.
function showWhereWeAre() {
  reference.querySelector(".menu-content label.active")?.scrollIntoView({ block: "nearest" });
}
new MutationObserver(showWhereWeAre).observe(reference, {
  attributeFilter: ["class"],
  subtree: true,
});
