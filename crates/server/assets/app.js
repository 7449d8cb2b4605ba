// Conveniences only: every page works without this file.
"use strict";

// response_mode=form_post: go on without a click. The prototype's method is called because the
// form has a control with the id "submit".
for (const form of document.querySelectorAll("form[data-auto-submit]")) {
  HTMLFormElement.prototype.submit.call(form);
}

// Copy buttons appear where the browser can copy.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

// The exact local time behind "3 hours ago".
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString();
}

// The tab that is open is in sight, also where the tabs are wider than the screen.
for (const link of document.querySelectorAll("nav [aria-current]")) {
  const bar = link.closest("nav");
  const excess = link.getBoundingClientRect().right - bar.getBoundingClientRect().right + 32;
  if (excess > 0 && bar.scrollWidth > bar.clientWidth) bar.scrollLeft += excess;
}

// A menu closes with Escape and by a click elsewhere.
const menu = document.querySelector("details.account");
if (menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// What is wrong is said while it is typed: the server is asked and its answer shown beside the
// field. What the server says after sending is the same.
for (const form of document.querySelectorAll("form[data-check]")) {
  const told = (field) => {
    const id = `${field.name}-now`;
    let place = document.getElementById(id);
    if (!place) {
      place = document.createElement("p");
      place.id = id;
      place.className = "error now";
      place.setAttribute("role", "status");
      field.after(place);
      const others = field.getAttribute("aria-describedby");
      field.setAttribute("aria-describedby", others ? `${others} ${id}` : id);
    }
    return place;
  };
  const words = {
    name: (answer) => answer.name || "",
    redirect_uris: (answer) => [
      ...(answer.redirect_uris ? [answer.redirect_uris] : []),
      ...answer.redirect_lines.map((bad) => `Line ${bad.line}, ${bad.uri}: ${bad.reason}`),
    ].join("\n"),
  };
  const timers = {};
  const look = async (field) => {
    const query = new URLSearchParams({ [field.name]: field.value });
    const kind = new FormData(form).get("kind");
    if (kind) query.set("kind", kind);
    if (`${query}`.length > 6000) return;
    const answer = await fetch(`${form.dataset.check}?${query}`).catch(() => null);
    if (!answer || !answer.ok) return;
    const asked = query.get(field.name);
    const found = await answer.json();
    if (asked === field.value) told(field).textContent = words[field.name](found);
  };
  form.addEventListener("input", (event) => {
    const field = event.target;
    if (!(field.name in words)) return;
    clearTimeout(timers[field.name]);
    timers[field.name] = setTimeout(() => look(field), 400);
  });
  form.addEventListener("change", (event) => {
    const uris = form.querySelector("textarea[name=redirect_uris]");
    if (event.target.name === "kind" && uris && uris.value.trim()) look(uris);
  });
}
