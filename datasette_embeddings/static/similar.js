// Searching: a link to similar rows beside every row of a table, and images made small before they are sent.

const LONGEST_SIDE = 1024; // pixels; models look at a few hundred
const LARGE = 500_000; // bytes that are sent as they are
const AGAIN = 3000; // milliseconds until a model that loads is asked again

/* The table page: "similar" beside the link of each row. Without this file the row's own page has it. */

function linkRows(place) {
  const { embedTable, embedSimilar } = place.dataset;
  for (const row of document.querySelectorAll("table.rows-and-columns tbody tr")) {
    const link = row.querySelector("td a[href]");
    const path = link && new URL(link.href).pathname;
    if (!path || !path.startsWith(embedTable + "/") || row.querySelector(".embed-similar")) continue;
    const key = path.slice(embedTable.length + 1);
    if (key.includes("/")) continue;
    const similar = document.createElement("a");
    similar.href = `${embedSimilar}?row=${encodeURIComponent(key)}`;
    similar.className = "embed-similar";
    similar.textContent = "similar";
    similar.setAttribute("aria-label", `Rows similar to ${link.textContent}`);
    link.closest("td").append(" ", similar);
  }
}

/* An image: its bytes travel in a field of the form, small enough for any server. */

async function smaller(file) {
  const image = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(image.width, image.height));
  if (scale === 1 && file.size <= LARGE) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG knows nothing transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) {
    text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  }
  return btoa(text);
}

function sendImages(form) {
  const file = form.querySelector("input[type=file]");
  const problem = form.querySelector("[data-embed=image-problem]");
  form.hidden = false;
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    problem.hidden = true;
    try {
      form.elements.image.value = await base64(await smaller(file.files[0]));
    } catch {
      problem.textContent = `${file.files[0].name} is no image that this browser can read`;
      problem.hidden = false;
      return;
    }
    form.submit();
  });
}

/* On the page of the matches of an image or a vector: what changes the filters posts it again. */

function keepPosted(form) {
  const posted = document.querySelector("[data-embed-posted]");
  const post = (address) => {
    posted.action = address;
    posted.submit();
  };
  document.querySelectorAll("[data-embed=image-asked]").forEach((shown) => {
    shown.src = `data:image/jpeg;base64,${posted.elements.image.value}`;
  });
  form.addEventListener("submit", (event) => {
    if (form.elements.q?.value) return; // a text, asked instead of what was posted
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form));
    fields.delete("_mode"); // neither has words
    post(`${form.getAttribute("action")}?${fields}`);
  });
  document.querySelectorAll(".embed-others a").forEach((link) => {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      post(link.href);
    });
  });
}

document.querySelectorAll("[data-embed-similar]").forEach(linkRows);
document.querySelectorAll("[data-embed-keep]").forEach(keepPosted);
document.querySelectorAll("[data-embed-image]").forEach(sendImages);
document.querySelectorAll("[data-embed-again]").forEach((form) => setTimeout(() => form.submit(), AGAIN));
