"use strict";
// Draws the points of structures over the plots, filters them by kind, and shows tooltips.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = data.structures, count = all.kind.length;
  const canvases = [...document.querySelectorAll("canvas[data-cloud]")];
  const kindBoxes = [...document.querySelectorAll("input[data-kind]")];
  const groupBoxes = [...document.querySelectorAll("input[data-group]")];
  const sideBoxes = [...document.querySelectorAll("input[data-side]")];
  const tip = document.getElementById("tip");
  const REACH = 14, FINE = 2;
  const kindShown = data.kinds.map(() => true), sideShown = [true, true];
  const isShown = (i) => kindShown[all.kind[i]] && sideShown[all.test[i]];
  const colourOf = (kind) => data.groups[data.groupOf[kind]].colour;

  function drawDensity(context, cloud, width, height) {
    const cell = [width / data.cells, height / data.cells];
    for (const [kind, [cells, counts]] of Object.entries(cloud.density)) {
      if (!kindShown[kind]) continue;
      context.fillStyle = colourOf(kind);
      cells.forEach((number, j) => {
        context.globalAlpha = Math.min(0.5, 0.06 + 0.08 * Math.log2(counts[j] + 1));
        const column = number % data.cells, row = Math.floor(number / data.cells);
        context.fillRect(column * cell[0], height - (row + 1) * cell[1], cell[0] + 0.5, cell[1] + 0.5);
      });
    }
  }

  function draw(canvas) {
    const cloud = data.clouds[canvas.dataset.cloud];
    const box = canvas.parentElement.getBoundingClientRect();
    const width = box.width * parseFloat(canvas.style.width) / 100;
    const height = box.height * parseFloat(canvas.style.height) / 100;
    // A higher resolution than the screen, for printing.
    const fine = Math.max(FINE, window.devicePixelRatio || 1);
    canvas.width = Math.round(width * fine);
    canvas.height = Math.round(height * fine);
    const context = canvas.getContext("2d");
    context.scale(fine, fine);
    drawDensity(context, cloud, width, height);
    const radius = count > 3000 ? 1.8 : 2.8;
    let drawn = 0;
    // Test structures are drawn above training structures.
    for (const side of [0, 1]) {
      for (let i = 0; i < count; i++) {
        if (all.test[i] !== side || cloud.x[i] < 0 || cloud.y[i] < 0 || !isShown(i)) continue;
        drawn++;
        context.beginPath();
        context.arc(cloud.x[i] / data.places * width, (1 - cloud.y[i] / data.places) * height, radius, 0, 7);
        context.globalAlpha = side ? 1 : 0.55;
        context.fillStyle = colourOf(all.kind[i]);
        context.fill();
        if (side) {
          context.strokeStyle = "#000";
          context.lineWidth = 1;
          context.stroke();
        }
      }
    }
    canvas.dataset.drawn = drawn;
  }

  function errorsOf(chosen) {
    let n = 0, atoms = 0, energy = 0, force = 0;
    for (let i = 0; i < count; i++) {
      if (!isShown(i) || !chosen(i)) continue;
      n++;
      atoms += all.atoms[i];
      energy += all.energyError[i] ** 2;
      force += all.atoms[i] * all.forceError[i] ** 2;
    }
    return n === 0 ? "" : `${n} structures, RMSE ${Math.sqrt(energy / n).toPrecision(3)} meV/atom, ` +
      `${Math.sqrt(force / atoms).toPrecision(3)} eV/Å`;
  }

  function summarise() {
    const shown = all.kind.filter((_, i) => isShown(i)).length;
    // Errors of training and test structures are averaged separately.
    const sides = [
      ["test", errorsOf((i) => all.test[i] && !all.repeats[i])],
      ["test, equal to training structures", errorsOf((i) => all.repeats[i])],
      ["train", errorsOf((i) => !all.test[i])],
    ].filter(([, text]) => text).map(([name, text]) => `${name}: ${text}`);
    document.getElementById("shown").textContent = shown === 0 ? "No structure is shown." :
      `${shown} of ${count} structures shown. ${sides.join("; ")}`;
  }

  function update() {
    kindBoxes.forEach((box) => { kindShown[box.dataset.kind] = box.checked; });
    sideBoxes.forEach((box) => { sideShown[box.dataset.side] = box.checked; });
    groupBoxes.forEach((box) => {
      const own = kindBoxes.filter((kind) => data.groupOf[kind.dataset.kind] === Number(box.dataset.group));
      box.checked = own.some((kind) => kind.checked);
      box.indeterminate = box.checked && !own.every((kind) => kind.checked);
    });
    tip.hidden = true;
    canvases.forEach(draw);
    summarise();
  }

  function setKinds(chosen, checked) {
    kindBoxes.filter((box) => chosen(Number(box.dataset.kind))).forEach((box) => { box.checked = checked; });
    update();
  }

  function nearest(canvas, event) {
    const cloud = data.clouds[canvas.dataset.cloud], box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = REACH ** 2;
    for (let i = 0; i < count; i++) {
      if (cloud.x[i] < 0 || cloud.y[i] < 0 || !isShown(i)) continue;
      const dx = cloud.x[i] / data.places * box.width - x, dy = (1 - cloud.y[i] / data.places) * box.height - y;
      const distance = dx * dx + dy * dy;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  const digits = (value) => Number(value.toPrecision(3));

  function describe(i) {
    const sign = all.energyError[i] < 0 ? "−" : "+";
    const calculation = data.calculations[all.calculation[i]], source = data.sources[all.source[i]];
    return [
      `${data.kinds[all.kind[i]]}, ${data.formulas[all.formula[i]]}, ${all.test[i] ? "test" : "train"}` +
        `${all.repeats[i] ? ", equals a training structure" : ""}`,
      `energy ${all.energy[i]} eV/atom, error ${sign}${digits(Math.abs(all.energyError[i]))} meV/atom`,
      `force RMSE ${digits(all.forceError[i])} eV/Å, largest error of an atom ${digits(all.largest[i])} eV/Å`,
      calculation ? `calculation ${calculation}` : data.locations[i] || "label from a file",
      source ? `trajectory ${source}, step ${all.step[i]}` : "",
    ].filter(Boolean).join("\n");
  }

  let kept = false;
  function point(canvas, event) {
    const i = nearest(canvas, event);
    if (i < 0) { tip.hidden = true; return false; }
    tip.textContent = describe(i);
    tip.hidden = false;
    const left = Math.min(event.pageX + 14, window.scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${event.pageY + 14}px`;
    return true;
  }

  canvases.forEach((canvas) => {
    canvas.addEventListener("pointermove", (event) => { if (!kept) point(canvas, event); });
    canvas.addEventListener("pointerleave", () => { if (!kept) tip.hidden = true; });
    // After a click the tooltip stays open, so that its text can be copied.
    canvas.addEventListener("click", (event) => { kept = point(canvas, event); });
  });
  kindBoxes.concat(sideBoxes).forEach((box) => box.addEventListener("change", update));
  groupBoxes.forEach((box) => box.addEventListener("change", () =>
    setKinds((kind) => data.groupOf[kind] === Number(box.dataset.group), box.checked)));
  document.getElementById("all").addEventListener("click", () => setKinds(() => true, true));
  document.getElementById("none").addEventListener("click", () => setKinds(() => true, false));
  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => canvases.forEach(draw), 100); });
  window.addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((one) => { one.open = true; }));
  update();
})();
