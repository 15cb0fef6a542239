"use strict";
// Files handed in one by one, each with its progress and its result. Without this script the form sends them together.
(() => {
  const form = document.querySelector("[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const list = document.getElementById("uploads");
  const waiting = [];
  let busy = false;

  function row(file) {
    const item = document.createElement("li");
    item.className = "upload-row";
    const name = document.createElement("span");
    name.className = "upload-name";
    name.textContent = file.name;
    const bar = document.createElement("progress");
    bar.max = 100;
    bar.value = 0;
    bar.setAttribute("aria-label", `${file.name}: ${form.dataset.sending}`);
    item.append(name, bar);
    list.append(item);
    return item;
  }

  function fail(item, words) {
    item.classList.add("upload-row--bad");
    const fault = document.createElement("span");
    fault.className = "upload-fault";
    fault.textContent = words;
    const bar = item.querySelector("progress");
    if (bar) bar.replaceWith(fault);
  }

  function next() {
    const job = waiting.shift();
    busy = Boolean(job);
    if (!job) return;
    const body = new FormData(form);
    body.delete("files");
    body.append("files", job.file, job.file.name);
    const call = new XMLHttpRequest();
    call.open("POST", form.action);
    call.setRequestHeader("X-One-File", "1");
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) job.item.querySelector("progress").value = 100 * event.loaded / event.total;
    });
    call.addEventListener("load", () => {
      if (call.status !== 200) fail(job.item, form.dataset.lost);
      else {
        const holder = document.createElement("ol");
        document.dispatchEvent(new CustomEvent("answered", { detail: call }));
        holder.innerHTML = call.responseText;
        const answer = holder.querySelector("li");
        if (answer) { job.item.replaceWith(answer); htmx.process(answer); } else fail(job.item, form.dataset.lost);
      }
      next();
    });
    call.addEventListener("error", () => { fail(job.item, form.dataset.lost); next(); });
    call.send(body);
  }

  function take(files) {
    for (const file of files) {
      const item = row(file);
      if (file.size > Number(form.dataset.limit) * 1024 * 1024) fail(item, form.dataset.large);
      else waiting.push({ file, item });
    }
    input.value = "";
    if (!busy) next();
  }

  form.addEventListener("submit", (event) => {
    if (!input.files.length) return;
    event.preventDefault();
    take([...input.files]);
  });
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("drop--over");
  }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("drop--over")));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
})();
