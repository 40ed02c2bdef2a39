"use strict";
// Search as one types; without this the form asks the server.
const box = document.getElementById("q");
const rows = [...document.querySelectorAll("#models tbody tr")];
const status = document.getElementById("found");
if (!box.value) {
  const all = rows.length;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      if (!row.hidden) shown += 1;
    }
    status.textContent = `${shown} of ${all} models`;
  });
}
