// The run page's figure. Its colours are names ("@executed"), filled in from the page's own custom properties.
(function () {
  "use strict";
  var CONFIG = {
    responsive: true,
    displaylogo: false,
    plotlyServerURL: "",
    showTips: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]], // no button that shares
    toImageButtonOptions: { filename: "lrdoctor", scale: 2 }
  };
  var NARROW = 560;
  var PAPER = 680; // pixels across an A4 or letter page within its margins

  document.addEventListener("DOMContentLoaded", function () {
    var source = document.getElementById("figure");
    var box = document.getElementById("chart");
    if (!source || !box) return;
    if (!window.Plotly) {
      box.textContent = "The charts could not be drawn: plotly.min.js is not beside this page.";
      return;
    }
    var figure = JSON.parse(source.textContent);
    var printing = false;

    function filled(value, style) {
      if (typeof value === "string") {
        return value.charAt(0) === "@" ? style.getPropertyValue("--" + value.slice(1)).trim() : value;
      }
      if (Array.isArray(value)) {
        return typeof value[0] === "number" ? value : value.map(function (item) { return filled(item, style); });
      }
      if (value && typeof value === "object") {
        var copy = {};
        Object.keys(value).forEach(function (key) { copy[key] = filled(value[key], style); });
        return copy;
      }
      return value;
    }
    function draw() {
      var style = getComputedStyle(document.documentElement);
      var layout = filled(figure.layout, style);
      layout.font.family = getComputedStyle(document.body).fontFamily;
      box.style.height = layout.height + "px";
      if (printing) layout.width = PAPER;
      if (box.clientWidth < NARROW) layout.margin = Object.assign({}, layout.margin, { l: 54, r: 6 });
      return Plotly.react(box, filled(figure.data, style), layout, CONFIG);
    }
    function press(button, on) { button.setAttribute("aria-pressed", String(on)); }

    document.querySelectorAll(".key").forEach(function (button) {
      button.addEventListener("click", function () {
        var on = button.getAttribute("aria-pressed") !== "true";
        press(button, on);
        JSON.parse(button.dataset.traces).forEach(function (i) { figure.data[i].visible = on; });
        draw();
      });
    });
    document.querySelectorAll(".switch").forEach(function (group) {
      group.querySelectorAll("button").forEach(function (button) {
        button.addEventListener("click", function () {
          var axis = figure.layout[group.dataset.axis];
          axis.type = button.dataset.scale;
          axis.uirevision = button.dataset.scale; // the old range means nothing on the new scale; the x-axis keeps its zoom
          group.querySelectorAll("button").forEach(function (other) { press(other, other === button); });
          draw();
        });
      });
    });
    document.addEventListener("lrdoctor:theme", draw);
    window.addEventListener("beforeprint", function () { printing = true; draw(); });
    window.addEventListener("afterprint", function () { printing = false; draw(); });
    draw();
  });
})();
