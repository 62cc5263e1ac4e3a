// Each still picture is replaced by the interactive figure; without JavaScript it stays.
for (const plot of document.querySelectorAll(".plot")) {
  const spec = JSON.parse(document.getElementById("spec-" + plot.dataset.figure).textContent);
  const place = document.createElement("div");
  window.vegaEmbed(place, spec, { renderer: "svg", actions: false }).then(
    () => plot.replaceChildren(place),
    (error) => console.error(plot.dataset.figure, error),
  );
}
