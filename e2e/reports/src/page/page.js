// What needs a pointer or a keyboard: tooltips, walking through a timeline, the filter. Everything that is shown is in
// the page before this runs.
"use strict";
(() => {
  const tip = document.getElementById("tip");
  const make = (name, text) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // An event is a row of its trial's table; a mark names the row by its number.
  const row = (mark) => mark.closest("details.trial").querySelector("table.events").tBodies[0].rows[mark.dataset.e];
  const cells = (mark) => [...row(mark).cells].map((cell) => cell.textContent.trim());

  const show = (mark) => {
    const [at, who, what, detail] = cells(mark);
    tip.replaceChildren(make("b", `${who}: ${what}`), make("span", `${at} ms`));
    if (detail) tip.append(make("br"), detail);
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = Math.min(Math.max(box.left + box.width / 2 - width / 2, 8), document.documentElement.clientWidth - width - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above > 4 ? above : box.bottom + 8) + scrollY}px`;
  };
  const hide = () => { tip.hidden = true; };

  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("[data-e]");
    if (mark) show(mark);
  });
  document.addEventListener("pointerout", (event) => {
    if (event.target.closest?.("[data-e]")) hide();
  });

  // One stop for the tab key at each timeline; the arrow keys move between its events.
  for (const timeline of document.querySelectorAll("svg.timeline")) {
    const stops = [];
    for (const mark of timeline.querySelectorAll("[data-e]")) {
      // Where the close-up repeats an event, it is the better place to look at.
      stops[mark.dataset.e] = mark;
    }
    const marks = stops.filter(Boolean);
    const lane = (mark) => Math.round(mark.getBoundingClientRect().top / 12);
    let current = -1;
    const leave = () => {
      for (const mark of timeline.querySelectorAll(".on")) mark.classList.remove("on");
    };
    const go = (index) => {
      if (!marks.length) return;
      current = Math.min(Math.max(index, 0), marks.length - 1);
      leave();
      const mark = marks[current];
      for (const twin of timeline.querySelectorAll(`[data-e="${mark.dataset.e}"]`)) twin.classList.add("on");
      mark.setAttribute("tabindex", "-1");
      mark.setAttribute("role", "img");
      const [at, who, what, detail] = cells(mark);
      mark.setAttribute("aria-label", `${at} ms, ${who}: ${what}. ${detail}`);
      mark.focus({ preventScroll: true });
      mark.scrollIntoView({ block: "nearest", inline: "nearest" });
      show(mark);
    };
    // To the nearest in time of those in another lane.
    const across = (down) => {
      const from = marks[Math.max(current, 0)];
      const middle = (mark) => { const box = mark.getBoundingClientRect(); return box.left + box.width / 2; };
      const others = marks.filter((mark) => (down ? lane(mark) > lane(from) : lane(mark) < lane(from)));
      const nearest = others.reduce((best, mark) => {
        const far = Math.abs(lane(mark) - lane(from)) * 10000 + Math.abs(middle(mark) - middle(from));
        return !best || far < best.far ? { mark, far } : best;
      }, null);
      if (nearest) go(marks.indexOf(nearest.mark));
    };
    const keys = {
      ArrowRight: () => go(current + 1),
      ArrowLeft: () => go(current - 1),
      ArrowDown: () => across(true),
      ArrowUp: () => across(false),
      Home: () => go(0),
      End: () => go(marks.length - 1),
      Escape: () => { hide(); leave(); },
    };
    timeline.setAttribute("tabindex", "0");
    timeline.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    timeline.addEventListener("focusout", () => { hide(); leave(); });
  }

  const trials = [...document.querySelectorAll("details.trial")];

  // A link to a trial opens it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) {
      box.hidden = false;
      box.open = true;
    }
    target?.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  // The filter.
  const filter = document.getElementById("filter");
  if (filter && trials.length > 1) {
    const count = make("output");
    const choice = (label, key) => {
      const select = make("select");
      select.append(new Option("all", ""));
      for (const value of new Set(trials.map((trial) => trial.dataset[key]))) select.append(new Option(value, value));
      const box = make("label", label);
      box.append(select);
      filter.append(box);
      select.addEventListener("change", apply);
      return select;
    };
    const apply = () => {
      for (const trial of trials) {
        trial.hidden = !((!fault.value || trial.dataset.fault === fault.value)
          && (!verdict.value || trial.dataset.verdict === verdict.value));
      }
      const shown = trials.filter((trial) => !trial.hidden).length;
      count.textContent = `${shown} of ${trials.length} shown`;
    };
    const fault = choice("Fault", "fault");
    const verdict = choice("Verdict", "verdict");
    for (const [label, open] of [["Open all", true], ["Close all", false]]) {
      const button = make("button", label);
      button.type = "button";
      button.addEventListener("click", () => { for (const trial of trials) trial.open = open; });
      filter.append(button);
    }
    filter.append(count);
    apply();
  }

  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const box of closed) box.open = true;
  });
  addEventListener("afterprint", () => { for (const box of closed) box.open = false; });

  document.documentElement.classList.add("js");
})();
