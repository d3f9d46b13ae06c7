// On "changed": fetch the page, swap live parts.
let busy, again, heard, late, gone, events;
const { dataset } = document.body;
const one = (id) => document.getElementById(id);

async function refresh() {
  again = busy;
  if (busy) return;
  busy = true;
  try {
    const answer = await fetch("/_sandbox/" + location.search);
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {}
  busy = false;
  if (again && heard !== dataset.revision) refresh();
}

function swap(fresh) {
  late = false;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (old.matches(":focus-within")) {
      late = true; // in use
      continue;
    }
    for (const { id } of old.querySelectorAll("details[open]")) {
      fresh.getElementById(id)?.setAttribute("open", "");
    }
    old.replaceWith(now);
  }
  const count = fresh.getElementById("count").textContent;
  if (one("count").textContent !== count) one("count").textContent = count;
  dataset.revision = fresh.body.dataset.revision;
}

function link(isGone) {
  if (gone && !isGone) refresh();
  gone = isGone;
  one("link").textContent = one("link").className = gone ? "gone" : "live";
  one("gone").hidden = !gone;
  for (const it of document.querySelectorAll("button")) it.disabled = gone;
}

function listen() {
  events = new EventSource("/_sandbox/events");
  events.onopen = () => link(false);
  events.onerror = () => {
    link(true);
    if (events.readyState > 1) setTimeout(listen, 500);
  };
  events.addEventListener("changed", ({ data }) => (heard = data) !== dataset.revision && refresh());
}

listen();
addEventListener("click", (event) => gone && event.target.closest("[href^='/']") && event.preventDefault());
onhashchange = () => one(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
addEventListener("focusout", () => late && setTimeout(refresh));
onpagehide = () => events.close();
onpageshow = (event) => event.persisted && location.reload();
