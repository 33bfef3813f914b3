"""How the page looks, and the script that moves the cursor of its plots along with the video."""

STYLE = """
.gradio-container { max-width: 76rem !important; margin: 0 auto !important;
  --body-text-color-subdued: #5f5f6b; }
.dark .gradio-container, .gradio-container.dark { --body-text-color-subdued: #b4b4c0; }
.gradio-container h1 { margin: .5rem 0 0; font-size: 1.6rem; }
.gradio-container h2 { margin: .2rem 0 .6rem; font-size: 1.15rem; font-weight: 600; }
.gradio-container .quiet { color: var(--body-text-color-subdued); font-size: .85rem; margin: 0; }
.note { color: #a40e26; font-weight: 600; margin: 0; }
.dark .note { color: #ff8f9c; }
.empty { border: 1px dashed var(--border-color-primary); border-radius: 8px; padding: 3rem 1rem;
  text-align: center; color: var(--body-text-color-subdued); }
.gradio-container .html-container { padding: 0 !important; }
.gradio-container .tab-container { flex-wrap: wrap; height: auto; overflow: visible; }
.wide { overflow: auto; max-height: 24rem; }
.gradio-container .wide table { border-collapse: collapse; width: 100%; margin: 0; border: 0;
  font-variant-numeric: tabular-nums; }
.wide caption { text-align: left; font-weight: 600; padding: .3rem 0; }
.gradio-container .wide :is(th, td) { text-align: left; padding: .35rem .9rem .35rem 0;
  white-space: nowrap; vertical-align: top; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
.gradio-container .wide :is(table, thead, tbody, tr) { border: 0 !important; }
.gradio-container .jobs .name { white-space: normal; overflow-wrap: anywhere; }
.gradio-container .jobs .state { white-space: normal; width: 55%; }
.jobs .failed .state { color: #a40e26; }
.jobs progress { width: 7rem; vertical-align: middle; accent-color: #0072b2; }
.gradio-container details { margin-top: .6rem; }
.gradio-container summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
.answers { display: flex; flex-wrap: wrap; gap: 1rem 3rem; }
.answer .large { margin: .2rem 0; display: flex; align-items: baseline; gap: .6rem;
  flex-wrap: wrap; }
.answer .large strong { font-size: 4rem; line-height: 1; overflow-wrap: anywhere; }
.answer .large span { font-size: 1.3rem; }
.answer dl { display: flex; flex-wrap: wrap; gap: .3rem 2rem; margin: .4rem 0; }
.answer dt { color: var(--body-text-color-subdued); font-size: .85rem; }
.answer dd { margin: 0; font-size: 1.1rem; }
.result video { width: 100%; max-width: 100%; background: #000; border-radius: 8px; margin: .6rem 0;
  object-position: top; }
.downloads { display: flex; flex-wrap: wrap; gap: .5rem; margin: .3rem 0; }
.downloads a { border: 1px solid var(--border-color-primary); border-radius: 6px;
  padding: .35rem .8rem; text-decoration: none; color: var(--body-text-color); }
.downloads a:hover, .downloads a:focus { border-color: #0072b2; }
.plots figure { margin: .6rem 0 1rem; }
.plots figcaption { font-weight: 600; margin-bottom: .3rem; }
.frame { position: relative; height: 8rem; background: var(--background-fill-secondary);
  cursor: pointer; border-bottom: 1px solid var(--body-text-color-subdued); }
.timeline .frame { height: 2.6rem; overflow: hidden; }
.timeline b { position: absolute; top: 0; bottom: 0; overflow: hidden; padding: .6rem .3rem;
  box-sizing: border-box; color: #111; font-size: .85rem; white-space: nowrap;
  text-overflow: ellipsis; }
.frame svg { width: 100%; height: 100%; display: block; overflow: visible; }
.frame .now { position: absolute; top: 0; bottom: 0; left: 0; width: 2px; background: #d55e00;
  z-index: 2; display: none; pointer-events: none; }
.frame .high, .frame .low { position: absolute; left: .3rem; font-size: .75rem;
  color: var(--body-text-color-subdued); pointer-events: none; }
.frame .high { top: .1rem; }
.frame .low { bottom: .1rem; }
.axis { display: flex; justify-content: space-between; font-size: .75rem;
  color: var(--body-text-color-subdued); }
.plots polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; }
.plots .line0 { stroke: #0072b2; }
.dark .plots .line0 { stroke: #56b4e9; }
.plots .line1 { stroke: #d55e00; stroke-dasharray: 6 4; }
.plots rect.part { fill: #009e73; opacity: .16; }
.plots rect.alarm { fill: #d55e00; opacity: .25; }
.alarms { font-size: 1.3rem; font-weight: 600; margin: .3rem 0; }
.trails svg { width: 100%; max-height: 24rem; background: var(--background-fill-secondary); }
.trails polyline { stroke-width: 1.5; opacity: .55; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .8rem; margin-top: .3rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: .35em; vertical-align: -.05em; }
footer { display: none !important; }
/* it would ask for a program elsewhere */
button[aria-label="Trim video to selection"] { display: none; }
"""

SCRIPT = """<script>
function mmotionTabOf(element) { return element.closest('[role=tabpanel]') || document; }
/* below the picture there is room for the controls, which would hide what is written there */
document.addEventListener('loadedmetadata', function (event) {
  const video = event.target;
  if (!video.closest('.result')) return;
  const room = video.parentElement.clientWidth / video.videoWidth;
  const scale = Math.min(room, 0.6 * window.innerHeight / video.videoHeight);
  video.style.width = scale * video.videoWidth + 'px';
  video.style.height = scale * video.videoHeight + 72 + 'px';
}, true);
document.addEventListener('timeupdate', function (event) {
  const now = event.target.currentTime + Number(event.target.dataset.start || 0);
  for (const frame of mmotionTabOf(event.target).querySelectorAll('.frame')) {
    const start = Number(frame.dataset.start), end = Number(frame.dataset.end);
    const cursor = frame.querySelector('.now');
    cursor.style.display = 'block';
    cursor.style.left = Math.min(Math.max(100 * (now - start) / (end - start), 0), 100) + '%';
  }
}, true);
document.addEventListener('click', function (event) {
  const frame = event.target.closest('.frame');
  const video = frame && mmotionTabOf(frame).querySelector('.result video');
  if (!video) return;
  const box = frame.getBoundingClientRect(), start = Number(frame.dataset.start);
  const share = (event.clientX - box.left) / box.width;
  video.currentTime = start + share * (Number(frame.dataset.end) - start)
    - Number(video.dataset.start || 0);
});
</script>"""
