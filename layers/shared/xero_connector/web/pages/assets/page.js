// Extras: every page works without them.
(() => {
  "use strict";
  const main = document.getElementById("main");

  // Look again, and load the page anew only if it has something else to say. Not while nobody looks.
  const seconds = Number(main.dataset.polls);
  const state = (page) => page.getElementById("main")?.dataset.state;
  const lookAgain = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.redirected) location.replace(answer.url);
      else if (state(page) !== state(document)) location.reload();
    } catch {
      // No answer: the next look may have one.
    }
  };
  if (seconds > 0) {
    setInterval(lookAgain, seconds * 1000);
    document.addEventListener("visibilitychange", lookAgain);
  }
})();
