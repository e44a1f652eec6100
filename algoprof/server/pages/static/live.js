// Keeps the queue on the overview up to date. Everything can be read without.
"use strict";
const place = document.getElementById("live");
async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/live");
      if (answer.status === 401) return location.reload();
      if (answer.ok) {
        const made = new DOMParser().parseFromString(await answer.text(), "text/html");
        place.replaceChildren(...made.body.childNodes);
      }
    } catch {
      // The server has ended, or is being started anew: the next attempt tells.
    }
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
