// A click on a box of the console shows the build over the page. Without it the box leads to the build.
(() => {
  "use strict";
  const popup = document.getElementById("popup");
  const title = document.getElementById("popup-title");
  const boxes = document.getElementById("popup-boxes");
  let from = null;

  const open = async (box) => {
    from = box;
    try {
      const response = await fetch(box.dataset.popup, { headers: { Accept: "text/html" } });
      if (!response.ok) throw new Error(response.statusText);
      const status = new DOMParser().parseFromString(await response.text(), "text/html");
      // Another box was clicked meanwhile.
      if (from !== box) return;
      const link = Object.assign(document.createElement("a"), { href: box.href });
      link.textContent = status.querySelector("h1").textContent;
      title.replaceChildren(link);
      boxes.replaceChildren(document.adoptNode(status.querySelector("table")));
      popup.showModal();
    } catch {
      location.assign(box.href);
    }
  };

  document.addEventListener("click", (event) => {
    const box = event.target.closest("a[data-popup]");
    // Whoever asks for a window or a tab gets one.
    if (!box || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(box);
  });

  // Beside it, all that is seen of the dialog is what lies behind it.
  popup.addEventListener("click", (event) => event.target === popup && popup.close());

  // The page may have been kept fresh meanwhile: then the box has a twin.
  popup.addEventListener("close", () => {
    const twin = () => [...document.querySelectorAll("a[data-popup]")].find((it) => it.href === from.href);
    (from.isConnected ? from : twin())?.focus({ preventScroll: true });
  });
})();
