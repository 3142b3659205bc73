// Light or dark: the reader's choice where one was made, else the system's. Runs before the page is drawn.
(function () {
  "use strict";
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try { return localStorage.getItem("lrdoctor-theme"); } catch (error) { return null; } // storage may be forbidden
  }
  function store(theme) {
    try { localStorage.setItem("lrdoctor-theme", theme); } catch (error) { /* then it holds for this page only */ }
  }
  function wanted() {
    var choice = stored();
    return choice === "dark" || choice === "light" ? choice : system.matches ? "dark" : "light";
  }
  function apply(theme) {
    root.setAttribute("data-theme", theme);
    document.querySelectorAll("[data-theme-toggle]").forEach(function (button) {
      button.querySelector("span").textContent = theme === "dark" ? "Light" : "Dark";
    });
    document.dispatchEvent(new CustomEvent("lrdoctor:theme"));
  }

  apply(wanted());
  system.addEventListener("change", function () { apply(wanted()); });
  window.addEventListener("beforeprint", function () { apply("light"); });
  window.addEventListener("afterprint", function () { apply(wanted()); });
  document.addEventListener("DOMContentLoaded", function () {
    apply(wanted());
    document.querySelectorAll("[data-theme-toggle]").forEach(function (button) {
      button.addEventListener("click", function () {
        var next = root.getAttribute("data-theme") === "dark" ? "light" : "dark";
        store(next);
        apply(next);
      });
    });
  });
})();
