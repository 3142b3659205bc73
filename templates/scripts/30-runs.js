// The table of all runs: sort by a column, filter by text and by verdict.
(function () {
  "use strict";
  var NUMERIC = { verdict: true, findings: true, steps: true, points: true };
  var FALLING = { findings: true, steps: true, points: true }; // these start with the largest

  document.addEventListener("DOMContentLoaded", function () {
    var table = document.getElementById("runs");
    if (!table) return;
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    var collator = new Intl.Collator("en", { numeric: true });
    var filter = document.getElementById("filter");
    var select = document.getElementById("sort");
    var verdict = "";
    var sorted = { key: "", descending: false };

    function compare(a, b) {
      var key = sorted.key, x = a.dataset[key], y = b.dataset[key];
      var order = NUMERIC[key] ? Number(x) - Number(y) : collator.compare(x, y);
      return (sorted.descending ? -order : order) || collator.compare(a.dataset.path, b.dataset.path);
    }
    function sort(key, descending) {
      sorted = { key: key, descending: descending };
      rows.sort(compare);
      var all = document.createDocumentFragment();
      rows.forEach(function (row) { all.appendChild(row); });
      body.appendChild(all);
      table.querySelectorAll("thead button").forEach(function (button) {
        var head = button.parentElement;
        if (button.dataset.sort === key) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      select.value = key;
    }
    function show() {
      var words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      var count = 0;
      rows.forEach(function (row) {
        var fits = (!verdict || row.dataset.kind === verdict) &&
          words.every(function (word) { return row.dataset.words.indexOf(word) >= 0; });
        row.hidden = !fits;
        if (fits) count += 1;
      });
      document.getElementById("shown").textContent = count === rows.length ? rows.length + " shown" : count + " of " + rows.length + " shown";
      document.getElementById("none").hidden = count > 0;
    }
    function choose(kind) {
      verdict = kind;
      document.querySelectorAll(".total").forEach(function (button) {
        button.setAttribute("aria-pressed", String(button.dataset.verdict === kind));
      });
      show();
    }

    table.querySelectorAll("thead button").forEach(function (button) {
      button.addEventListener("click", function () {
        var key = button.dataset.sort;
        sort(key, sorted.key === key ? !sorted.descending : Boolean(FALLING[key]));
      });
    });
    select.addEventListener("change", function () { sort(select.value, Boolean(FALLING[select.value])); });
    filter.addEventListener("input", show);
    document.querySelectorAll(".total").forEach(function (button) {
      button.addEventListener("click", function () { choose(button.dataset.verdict); });
    });
    document.getElementById("clear").addEventListener("click", function () { filter.value = ""; choose(""); });
    sort("verdict", false);
    if (filter.value) show(); // a browser may have kept it on reload
  });
})();
