// The table of all runs: filter, group and sort thousands of them; only the rows one has scrolled to are in the page.
(function () {
  "use strict";
  var AT_ONCE = 100;
  var ORDER = { faulty: 0, unknown: 1, healthy: 2 };
  var FALLING = { cost: true, findings: true, steps: true, points: true }; // these start with the largest
  var VALUES = { // what a column sorts by
    verdict: function (run) { return ORDER[run.kind]; },
    path: function (run) { return run.path; },
    findings: function (run) { return run.tags_key; },
    cost: function (run) { return run.cost_key; },
    schedule: function (run) { return run.schedule; },
    steps: function (run) { return run.steps_key; },
    points: function (run) { return run.lr_points_key; }
  };

  document.addEventListener("DOMContentLoaded", function () {
    var table = document.getElementById("runs");
    if (!table) return;
    var runs = JSON.parse(document.getElementById("fleet").textContent);
    var body = table.tBodies[0];
    var collator = new Intl.Collator("en", { numeric: true });
    var filter = document.getElementById("filter");
    var sortBy = document.getElementById("sort");
    var groupBy = document.getElementById("group");
    var filters = Array.prototype.slice.call(document.querySelectorAll("[data-filter]"));
    var more = document.getElementById("more");
    var rowTemplate = document.getElementById("run-row").content.querySelector("tr");
    var chipTemplate = document.getElementById("run-chip").content.querySelector(".chip");
    var verdict = "";
    var sorted = { key: "cost", descending: true };
    var open = {}; // groups that are unfolded, by name
    var lines = []; // what the table lists from top to bottom: runs and heads of groups
    var drawn = 0;

    runs.forEach(function (run) {
      var codes = run.tags.map(function (tag) { return tag.code + " " + tag.name; });
      run.words = [run.path, run.label, run.below, run.schedule, run.cost].concat(codes).join(" ").toLowerCase();
    });

    function compare(a, b) {
      var x = VALUES[sorted.key](a), y = VALUES[sorted.key](b);
      var order = typeof x === "number" ? x - y : collator.compare(x, y);
      if (sorted.descending) order = -order;
      if (!order && sorted.key === "cost") order = ORDER[a.kind] - ORDER[b.kind] || b.tags_key - a.tags_key;
      return order || collator.compare(a.path, b.path);
    }
    function matching() {
      var words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      return runs.filter(function (run) {
        return (!verdict || run.kind === verdict) &&
          filters.every(function (select) { return !select.value || run[select.dataset.filter] === select.value; }) &&
          words.every(function (word) { return run.words.indexOf(word) >= 0; });
      });
    }
    function grouped(found) {
      var groups = {};
      found.forEach(function (run) {
        var name = run[groupBy.value];
        var group = groups[name] || (groups[name] = { name: name, runs: [], faulty: 0, shares: 0, estimated: 0 });
        group.runs.push(run);
        if (run.kind === "faulty") group.faulty += 1;
        if (run.share !== null) { group.shares += run.share; group.estimated += 1; }
      });
      return Object.keys(groups).map(function (name) { return groups[name]; }).sort(function (a, b) {
        return b.shares - a.shares || b.faulty - a.faulty || b.runs.length - a.runs.length || collator.compare(a.name, b.name);
      });
    }

    function element(name, className, text) {
      var made = document.createElement(name);
      made.className = className;
      if (text) made.textContent = text;
      return made;
    }
    function chip(tag) {
      var made = chipTemplate.cloneNode(true);
      made.className = "chip sev-" + tag.severity;
      made.title = tag.name + " (" + tag.severity + ")";
      made.querySelector("use").setAttribute("href", "#i-" + tag.severity);
      made.querySelector(".chip-code").textContent = tag.times ? tag.code + " " + tag.times : tag.code;
      made.querySelector(".visually-hidden").textContent = " " + tag.severity + ": " + tag.name;
      return made;
    }
    function row(run) {
      var made = rowTemplate.cloneNode(true);
      var set = function (where, text) { made.querySelector(where).textContent = text; };
      made.querySelector(".badge").className = "badge v-" + run.kind;
      made.querySelector(".badge use").setAttribute("href", "#i-" + run.kind);
      set(".badge-label", run.label);
      var link = made.querySelector(".run-link");
      link.setAttribute("href", run.page);
      link.title = run.headline;
      set(".folder", run.folder);
      set(".run-name", run.name);
      set(".run-below", run.below);
      var spark = made.querySelector(".spark");
      if (run.spark.executed) {
        spark.removeAttribute("hidden");
        if (run.spark.fix) spark.setAttribute("aria-label", "Learning rate over the run, and the fix");
        made.querySelector(".spark-run").setAttribute("points", run.spark.executed);
        made.querySelector(".spark-fix").setAttribute("points", run.spark.fix);
        made.querySelector(".spark-none").hidden = true;
      }
      if (run.tags.length) {
        var cell = made.querySelector(".c-findings");
        cell.textContent = "";
        run.tags.forEach(function (tag) { cell.appendChild(chip(tag)); cell.appendChild(document.createTextNode(" ")); });
      }
      set(".c-cost", run.cost || "\u2013");
      set(".c-schedule", run.schedule);
      var numbers = made.querySelectorAll(".c-num");
      numbers[0].textContent = run.steps;
      numbers[1].textContent = run.lr_points;
      return made;
    }
    function head(group) {
      var made = element("tr", "group"), cell = document.createElement("td");
      var button = element("button", "group-head");
      cell.colSpan = 8;
      button.type = "button";
      button.setAttribute("aria-expanded", String(Boolean(open[group.name])));
      button.appendChild(element("span", "group-name", group.name));
      var told = [group.runs.length.toLocaleString("en") + (group.runs.length === 1 ? " run" : " runs")];
      if (group.faulty) told.push(group.faulty.toLocaleString("en") + " faulty");
      if (group.estimated) {
        told.push("the fault cost " + (100 * group.shares / group.estimated).toFixed(0) + " % of the loss on average where that was estimated (" + group.estimated.toLocaleString("en") + ")");
      }
      button.appendChild(element("span", "group-told", told.join(" \u00b7 ")));
      button.addEventListener("click", function () {
        open[group.name] = !open[group.name];
        list();
      });
      cell.appendChild(button);
      made.appendChild(cell);
      return made;
    }

    function draw(upTo) {
      var added = document.createDocumentFragment();
      for (; drawn < Math.min(upTo, lines.length); drawn += 1) {
        added.appendChild(lines[drawn].runs ? head(lines[drawn]) : row(lines[drawn]));
      }
      body.appendChild(added);
      more.hidden = drawn >= lines.length;
    }
    function list() { // filter, group and sort anew, and draw the first rows
      var found = matching().sort(compare);
      lines = found;
      if (groupBy.value) {
        lines = [];
        grouped(found).forEach(function (group) {
          lines.push(group);
          if (open[group.name]) lines = lines.concat(group.runs);
        });
      }
      var kept = Math.max(AT_ONCE, groupBy.value ? drawn : 0);
      body.textContent = "";
      drawn = 0;
      draw(kept);
      var all = runs.length.toLocaleString("en"), count = found.length.toLocaleString("en");
      document.getElementById("shown").textContent = found.length === runs.length ? all + " shown" : count + " of " + all + " shown";
      document.getElementById("none").hidden = found.length > 0;
    }
    function sort(key, descending) {
      sorted = { key: key, descending: descending };
      table.querySelectorAll("thead button").forEach(function (button) {
        var column = button.parentElement;
        if (button.dataset.sort === key) column.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else column.removeAttribute("aria-sort");
      });
      sortBy.value = key;
      list();
    }
    function choose(kind) {
      verdict = kind;
      document.querySelectorAll(".total").forEach(function (button) {
        button.setAttribute("aria-pressed", String(button.dataset.verdict === kind));
      });
      list();
    }

    table.querySelectorAll("thead button").forEach(function (button) {
      button.addEventListener("click", function () {
        var key = button.dataset.sort;
        sort(key, sorted.key === key ? !sorted.descending : Boolean(FALLING[key]));
      });
    });
    sortBy.addEventListener("change", function () { sort(sortBy.value, Boolean(FALLING[sortBy.value])); });
    groupBy.addEventListener("change", function () { open = {}; list(); });
    filters.forEach(function (select) { select.addEventListener("change", list); });
    filter.addEventListener("input", list);
    document.querySelectorAll(".total").forEach(function (button) {
      button.addEventListener("click", function () { choose(button.dataset.verdict); });
    });
    document.getElementById("clear").addEventListener("click", function () {
      filter.value = "";
      filters.forEach(function (select) { select.value = ""; });
      choose("");
    });
    more.querySelector("button").addEventListener("click", function () { draw(drawn + AT_ONCE); });
    if ("IntersectionObserver" in window) {
      new IntersectionObserver(function (seen) {
        if (seen.some(function (one) { return one.isIntersecting; })) draw(drawn + AT_ONCE);
      }, { rootMargin: "1200px" }).observe(more);
    }
    window.addEventListener("beforeprint", function () { draw(lines.length); });
    sort("cost", true);
  });
})();
