// What slippi-js reads of files, for test_saving_slippi_js.py.
//
// node read.mjs FOLDER TABLE FILE...
//   FOLDER  holds node_modules with slippi-js
//   TABLE   JSON of dotted names: {"character": [...], "item": [...], "stage": [...]}
//
// Beside each FILE it writes FILE.json (settings, end, metadata, winners, stats) and three arrays of float64, which
// keep NaN and -0: FILE.frames, a line a frame of its number, then for players 0..3, leader and follower, whether it is
// there and the columns of "character"; FILE.items and FILE.stage, a line an event.
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";

const [folder, table, ...files] = process.argv.slice(2);
const { SlippiGame } = createRequire(`${folder}/`)("@slippi/slippi-js/node");
const names = JSON.parse(table);
for (const group of Object.keys(names)) names[group] = names[group].map((name) => name.split("."));

const values = (event, paths) => paths.map((path) => Number(path.reduce((at, key) => at?.[key], event)));
const keep = (path, lines) => writeFileSync(path, new Uint8Array(Float64Array.from(lines.flat()).buffer));

for (const file of files) {
  const game = new SlippiGame(file);
  const byNumber = game.getFrames();
  const frames = Object.values(byNumber).sort((one, other) => one.frame - other.frame);
  const characters = (frame) =>
    [0, 1, 2, 3].flatMap((player) =>
      [frame.players?.[player], frame.followers?.[player]].flatMap((events) => [
        Number(events?.post !== undefined),
        ...values(events, names.character),
      ]),
    );
  keep(`${file}.frames`, frames.map((frame) => [frame.frame, ...characters(frame)]));
  keep(`${file}.items`, frames.flatMap((frame) => (frame.items ?? []).map((item) => values(item, names.item))));
  keep(`${file}.stage`, frames.flatMap((frame) => (frame.stageEvents ?? []).map((event) => values(event, names.stage))));
  const told = {
    settings: game.getSettings(),
    end: game.getGameEnd(),
    metadata: game.getMetadata(),
    winners: game.getWinners(),
    stats: game.getStats(),
  };
  writeFileSync(`${file}.json`, JSON.stringify(told));
}
