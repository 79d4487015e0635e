// Extras: every page works without them.
(() => {
  "use strict";
  const main = document.getElementById("main");
  const all = (selector) => document.querySelectorAll(selector);
  const language = document.documentElement.lang;
  const local = (time) => time.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });

  // Moments are the reader's own.
  for (const time of all("time")) time.textContent = local(new Date(time.dateTime));

  // Copy a value, or the address of this page. The button says that it is done, to a screen reader too.
  const said = document.createElement("p");
  said.className = "unseen";
  said.setAttribute("role", "status");
  document.body.append(said);
  const copies = (button, value, select) => {
    const words = button.querySelector("span");
    const before = words.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(value());
      } catch {
        select?.();
        if (!document.execCommand("copy")) return;
      }
      words.textContent = said.textContent = button.dataset.done;
      setTimeout(() => { words.textContent = before; said.textContent = ""; }, 3000);
    });
  };
  for (const button of all("[data-copies]")) {
    const field = document.getElementById(button.dataset.copies);
    copies(button, () => field.value, () => field.select());
  }
  for (const button of all("[data-copies-address]")) {
    button.parentElement.hidden = false;
    copies(button, () => location.href);
  }

  // Show the secret while it is compared.
  for (const button of all("[data-shows]")) {
    const field = document.getElementById(button.dataset.shows);
    const words = button.querySelector("span");
    const show = words.textContent;
    button.hidden = false;
    button.addEventListener("click", () => {
      const hidden = field.type === "password";
      field.type = hidden ? "text" : "password";
      words.textContent = hidden ? button.dataset.hide : show;
    });
    field.form.addEventListener("submit", () => { field.type = "password"; });
  }

  // One press is enough.
  for (const button of all("[data-busy]")) {
    const before = button.textContent;
    button.form.addEventListener("submit", (event) => {
      if (button.ariaDisabled === "true") event.preventDefault();
      button.ariaDisabled = "true";
      button.textContent = said.textContent = button.dataset.busy;
    });
    addEventListener("pageshow", () => { button.ariaDisabled = null; button.textContent = before; });
  }

  // Ticks outlive a reload in this window, and the progress says which step is being read.
  const place = `done ${location.pathname}`;
  const ticks = [...all(".done input")];
  try {
    const kept = JSON.parse(sessionStorage.getItem(place) ?? "[]");
    for (const tick of ticks) {
      tick.checked ||= kept.includes(tick.id);
      tick.addEventListener("change", () =>
        sessionStorage.setItem(place, JSON.stringify(ticks.filter((one) => one.checked).map((one) => one.id))));
    }
  } catch {
    // The browser keeps nothing: then ticks last as long as the page.
  }
  const steps = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const link = document.querySelector(`.progress a[href="#${target.id}"]`);
      if (isIntersecting) link?.setAttribute("aria-current", "step");
      else link?.removeAttribute("aria-current");
    }
  }, { rootMargin: "-30% 0px -65%" });
  for (const step of all(".step")) steps.observe(step);

  // Look again, and load the page anew only if it has something else to say. Not while nobody looks.
  const seconds = Number(main.dataset.polls);
  const state = (page) => page.getElementById("main")?.dataset.state;
  const lookAgain = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // What cannot be shown for now, or is no page at all, says nothing of how things stand.
      const isNews = page.getElementById("main") && !(answer.status === 503 && state(document)?.startsWith("setup."));
      if (!isNews) return;
      if (answer.redirected) location.replace(answer.url);
      else if (state(page) !== state(document)) location.reload();
      for (const looked of all("[data-looked]")) {
        looked.textContent = looked.dataset.looked.replace("{time}", new Date().toLocaleTimeString(language));
        looked.hidden = false;
      }
    } catch {
      // No answer: the next look may have one.
    }
  };
  if (seconds > 0) {
    setInterval(lookAgain, seconds * 1000);
    document.addEventListener("visibilitychange", lookAgain);
  }
})();
