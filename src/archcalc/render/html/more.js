"use strict";
// A served page has the plans of one GPU. This asks for those of the others, a line each, and hands them to the fit panel as blocks.

(async () => {
  const opening = document.getElementById("data");
  // A page that was saved has all of them.
  if (!opening.dataset.more) return;
  try {
    const sent = await fetch(opening.dataset.more);
    if (!sent.ok) throw new Error(sent.statusText);
    const reader = sent.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (held + value).split("\n");
      held = lines.pop();
      for (const line of lines) {
        const block = document.createElement("script");
        block.type = "application/json";
        block.className = "piece";
        block.textContent = line;
        document.body.append(block);
      }
    }
  } catch {
    document.getElementById("fit-message").textContent = "The plans of other GPUs did not come: load the page again.";
  }
  opening.removeAttribute("data-more");
  document.dispatchEvent(new Event("pieces"));
})();
