// A box over each long table that leaves the rows that hold all words.
for (const table of document.querySelectorAll("article table")) {
  const rows = [...table.querySelectorAll("tbody tr")];
  if (rows.length < 40) continue;
  const box = document.createElement("input");
  box.type = "search";
  box.placeholder = `Search ${rows.length} rows`;
  box.setAttribute("aria-label", box.placeholder);
  const frame = document.createElement("div");
  frame.className = "long-table";
  frame.tabIndex = 0;
  table.before(box, frame);
  frame.append(table);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
}
