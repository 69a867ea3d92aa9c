/* Files that a person drops, pastes or picks; folders are opened. */

const PICTURE = /\.(jpe?g|png|bmp|tiff?|webp|gif|ppm|pgm)$/i;

export const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);

/* Names in the order of people: 2 before 10. */
const byPath = (one, other) =>
  pathOf(one).localeCompare(pathOf(other), undefined, { numeric: true });
const pathOf = (file) => file.webkitRelativePath || file.name;

/* The pictures of a folder, hidden files left out. */
export function ofFolder(files) {
  return [...files].filter((file) => isPicture(file) && !file.name.startsWith(".")).sort(byPath);
}

/* What was dropped: files as they are, and the pictures in folders. */
export async function dropped(transfer) {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of entries) {
    if (entry?.isDirectory) found.push(...ofFolder(await inFolder(entry)));
    else if (file) found.push(file);
  }
  return found;
}

async function inFolder(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    // a reader tells a hundred entries at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const one of some) {
      if (one.isDirectory) found.push(...(await inFolder(one)));
      else found.push(await new Promise((done, failed) => one.file(done, failed)));
    }
  }
}

/* A button, its input of files, and a place to drop them; `take` gets a list of files. */
export function takesFiles({ zone, button, input, folderButton, folderInput }, take) {
  button.addEventListener("click", () => input.click());
  folderButton.addEventListener("click", () => folderInput.click());
  for (const [one, choose] of [
    [input, (files) => [...files]],
    [folderInput, ofFolder],
  ]) {
    one.addEventListener("change", () => {
      const files = choose(one.files);
      one.value = ""; // the same file may be picked again
      take(files);
    });
  }
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("over");
    document.dispatchEvent(new Event("let-go"));
    take(await dropped(event.dataTransfer));
  });
}

export const pause = (seconds) =>
  new Promise((done) => {
    setTimeout(done, 1000 * seconds);
  });
