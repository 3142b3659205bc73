// Copy buttons. On file:// the clipboard interface may be missing or refuse; selecting the text and execCommand then does it.
(function () {
  "use strict";

  function selectAndCopy(element) {
    var selection = window.getSelection();
    var range = document.createRange();
    range.selectNodeContents(element);
    selection.removeAllRanges();
    selection.addRange(range);
    var done = false;
    try { done = document.execCommand("copy"); } catch (error) { done = false; }
    if (done) selection.removeAllRanges(); // otherwise the text stays selected, ready for the keyboard
    return done;
  }
  function say(button, word) {
    var label = button.querySelector("span");
    label.textContent = word;
    window.clearTimeout(button.timer);
    button.timer = window.setTimeout(function () { label.textContent = "Copy"; }, 2000);
  }
  function copy(button) {
    var element = document.getElementById(button.getAttribute("data-copy"));
    function fallback() { say(button, selectAndCopy(element) ? "Copied" : "Press Ctrl+C"); }
    if (!navigator.clipboard || !navigator.clipboard.writeText) return fallback();
    navigator.clipboard.writeText(element.textContent).then(function () { say(button, "Copied"); }, fallback);
  }

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-copy]").forEach(function (button) {
      button.addEventListener("click", function () { copy(button); });
    });
  });
})();
