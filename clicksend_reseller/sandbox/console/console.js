// Hears "changed", fetches the page again and swaps what is live on it. The page works without.
let busy = false, again = false, late = false;

async function refresh() {
  again = busy;
  if (busy) return;
  busy = true;
  try {
    const answer = await fetch("/_sandbox/" + location.search);
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {} finally {
    busy = false;
  }
  if (again) refresh();
}

function swap(fresh) {
  late = false;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (old.contains(document.activeElement)) {
      late = true; // whoever is at work there is left alone
      continue;
    }
    for (const open of old.querySelectorAll("details[open]")) {
      fresh.getElementById(open.id)?.setAttribute("open", "");
    }
    old.replaceWith(now);
  }
  const count = fresh.getElementById("count").textContent;
  const shown = document.getElementById("count");
  if (shown.textContent !== count) shown.textContent = count;
  document.body.dataset.revision = fresh.body.dataset.revision;
}

function link(words, look) {
  const shown = document.getElementById("link");
  shown.textContent = words;
  shown.className = look;
}

const events = new EventSource("/_sandbox/events");
events.onopen = () => link("live", "live");
events.onerror = () => link("the sandbox is gone", "quiet");
events.addEventListener("changed", (event) => {
  if (event.data !== document.body.dataset.revision) refresh();
});
document.addEventListener("focusout", () => late && setTimeout(refresh));
addEventListener("pagehide", () => events.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());
