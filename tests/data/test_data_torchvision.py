"""Data sets that torchvision reads, from small files in their published formats."""

import io
import pickle
import sys
import types
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.data import CIFAR10, CIFAR100, DATA, LSUN, STL10, SVHN, CelebA, FashionMNIST
from gan_convnorm.errors import BadInput

RANDOM = np.random.RandomState(0)


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def any_checksum(monkeypatch):
    """Small files have other checksums than the published ones; whether they are there is still looked at."""
    from torchvision.datasets import celeba, cifar, stl10, svhn, utils

    present = utils.check_integrity
    for module in (celeba, cifar, stl10, svhn):
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: present(path))


def random_bytes(*shape):
    return RANDOM.randint(0, 256, shape, dtype=np.uint8)


def check(data, images, labels, test_images, test_labels):
    data.prepare_data()
    data.setup()
    for split, (pixels, classes) in (("train", (images, labels)), ("test", (test_images, test_labels))):
        found = data.split(split).tensors
        assert found[0].dtype == torch.uint8 and found[0].is_contiguous()
        assert torch.equal(found[0], torch.as_tensor(pixels))
        if classes is None:
            assert len(found) == 1
        else:
            assert found[1].dtype == torch.int64 and found[1].tolist() == list(classes)
    assert found[0].shape[1:] == (data.channels, data.resolution, data.resolution)


def write_cifar(root, reader, key):
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    content = {}
    for number, (file, _) in enumerate([*reader.train_list, *reader.test_list]):
        content[file] = (random_bytes(3, 3072), [number, 9 - number, 3])
        (folder / file).write_bytes(pickle.dumps({"data": content[file][0], key: content[file][1]}))
    (folder / reader.meta["filename"]).write_bytes(pickle.dumps({reader.meta["key"]: ["name"] * 10}))
    return content


@pytest.mark.parametrize(("kind", "key", "classes"), [(CIFAR10, "labels", 10), (CIFAR100, "fine_labels", 100)])
def test_cifar(tmp_path, any_checksum, kind, key, classes):
    data = kind(str(tmp_path))
    content = write_cifar(tmp_path, data.reader, key)
    *train, test = content.values()
    images = np.concatenate([pixels for pixels, _ in train]).reshape(-1, 3, 32, 32)
    labels = [label for _, part in train for label in part]
    check(data, images, labels, test[0].reshape(-1, 3, 32, 32), test[1])
    assert (data.resolution, data.channels, data.num_classes) == (32, 3, classes)


def test_another_resolution_is_resized_with_antialiasing(tmp_path, any_checksum):
    data = CIFAR10(str(tmp_path), resolution=16)
    content = write_cifar(tmp_path, data.reader, "labels")
    data.setup()
    first = Image.fromarray(content["data_batch_1"][0][0].reshape(3, 32, 32).transpose(1, 2, 0))
    expected = np.asarray(first.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    found = data.train_set.tensors[0][0].permute(1, 2, 0).numpy()
    assert found.shape == (16, 16, 3)
    assert np.abs(found - expected).max() <= 1  # Pillow rounds after each direction


def test_svhn(tmp_path, any_checksum):
    from scipy.io import savemat

    images = {}
    for split, count in (("train", 4), ("test", 2)):
        images[split] = random_bytes(32, 32, 3, count)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": images[split], "y": np.arange(10, 10 - count, -1)[:, None]})
    train, test = (images[split].transpose(3, 2, 0, 1).copy() for split in ("train", "test"))
    check(SVHN(str(tmp_path)), train, [0, 9, 8, 7], test, [0, 9])  # 10 is the digit 0


def test_fashion_mnist(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = {"train": random_bytes(5, 28, 28), "t10k": random_bytes(3, 28, 28)}
    for split, pixels in images.items():
        shape = b"".join(size.to_bytes(4, "big") for size in pixels.shape)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + shape + pixels.tobytes())
        labels = bytes(range(len(pixels)))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + shape[:4] + labels)
    padded = [np.pad(pixels, ((0, 0), (2, 2), (2, 2)))[:, None] for pixels in images.values()]
    check(FashionMNIST(str(tmp_path)), padded[0], range(5), padded[1], range(3))


@pytest.mark.parametrize("part", ["unlabeled", "train"])
def test_stl10(tmp_path, any_checksum, part):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    # Blocks of 2x2 equal pixels: halving gives them back, away from their edges' smoothing.
    flat = {name: random_bytes(count) for name, count in (("unlabeled", 4), ("train", 3), ("test", 2))}
    for name, levels in flat.items():
        pixels = np.broadcast_to(levels[:, None, None, None], (len(levels), 3, 96, 96)).copy()
        pixels[:, 0, :48] = 7  # stored by columns: the left half
        (folder / f"{name}_X.bin").write_bytes(pixels.tobytes())
        (folder / f"{name}_y.bin").write_bytes(bytes(range(1, len(levels) + 1)))
    data = STL10(str(tmp_path), part=part)
    data.setup()
    images = data.train_set.tensors[0]
    assert images.shape == (len(flat[part]), 3, 48, 48)
    assert (images[:, 0, :, :23] == 7).all()
    assert (images[:, 0, :, 25:] == torch.as_tensor(flat[part])[:, None, None]).all()
    assert (images[:, 1:] == torch.as_tensor(flat[part])[:, None, None, None]).all()
    assert data.num_classes == (10 if part == "train" else None)
    if part == "train":
        assert data.train_set.tensors[1].tolist() == [0, 1, 2] and data.test_set.tensors[1].tolist() == [0, 1]
    else:
        assert len(data.train_set.tensors) == len(data.test_set.tensors) == 1
    with pytest.raises(BadInput, match="part is 'test'; choose one of: unlabeled, train"):
        STL10(str(tmp_path), part="test")


def write_celeba(root):
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.png" for number in range(1, 6)]
    pixels = random_bytes(5, 218, 178, 3)
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(folder / "img_align_celeba" / name)
    splits = dict(zip(names, (0, 2, 0, 1, 2), strict=True))
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} {part}\n" for name, part in splits.items()))
    (folder / "identity_CelebA.txt").write_text("".join(f"{name} 1\n" for name in names))
    for file in ("list_bbox_celeba.txt", "list_landmarks_align_celeba.txt", "list_attr_celeba.txt"):
        (folder / file).write_text("5\na b\n" + "".join(f"{name} 1 -1\n" for name in names))
    return [Image.fromarray(image) for image in pixels]


def test_celeba(tmp_path, any_checksum):
    pictures = write_celeba(tmp_path)
    expected = [
        np.asarray(picture.crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        for picture in pictures
    ]
    train = np.stack([expected[0], expected[2]])
    check(CelebA(str(tmp_path)), train, None, np.stack([expected[1], expected[4]]), None)
    (tmp_path / "celeba/img_align_celeba/000003.png").unlink()
    with pytest.raises(BadInput, match=r"1 of 2 files of celeba .*000003\.png .*fetch them again"):
        CelebA(str(tmp_path)).setup()


@pytest.fixture
def lmdb(monkeypatch):
    """What torchvision uses of lmdb, over dictionaries: folder -> key -> bytes."""
    databases = {}

    class Environment:
        def __init__(self, folder, **options):
            self.content = databases[folder]

        def begin(self, write):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def stat(self):
            return {"entries": len(self.content)}

        def cursor(self):
            return self

        def iternext(self, keys, values):
            return iter(sorted(self.content))

        def get(self, key):
            return self.content[key]

    module = types.ModuleType("lmdb")
    module.open = Environment
    monkeypatch.setitem(sys.modules, "lmdb", module)
    return databases


@pytest.mark.parametrize("categories", [["bedroom"], ["tower", "bridge"]])
def test_lsun(tmp_path, lmdb, monkeypatch, categories):
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    levels = {}
    for category in categories:
        for split, count in (("train", 3), ("val", 1)):
            folder = tmp_path / f"{category}_{split}_lmdb"
            folder.mkdir()
            (folder / "data.mdb").write_bytes(b"")
            content = {}
            for number in range(count):
                level = int(random_bytes(1)[0])
                levels.setdefault((category, split), []).append(level)
                file = io.BytesIO()
                Image.new("RGB", (20, 16), (level, 0, 255)).save(file, "png")
                content[b"key%d" % number] = file.getvalue()
            lmdb[str(folder)] = content

    def expected(split, limit=None):
        reds = [level for category in categories for level in levels[category, split][:limit]]
        return torch.tensor([[red, 0, 255] for red in reds], dtype=torch.uint8)[..., None, None].expand(-1, 3, 8, 8)

    labels = None if len(categories) == 1 else [0, 0, 0, 1, 1, 1]
    data = LSUN("..", categories, resolution=8)
    check(data, expected("train"), labels, expected("val"), labels and [0, 1])
    assert data.num_classes == (None if labels is None else 2)
    assert data.name == "-".join(["lsun", *categories])
    labels = None if labels is None else [0, 0, 1, 1]
    check(LSUN("..", categories, 2, resolution=8), expected("train", 2), labels, expected("val"), labels and [0, 1])
    assert list((tmp_path / "working").iterdir()) == []  # torchvision's list of keys
    lmdb[str(tmp_path / f"{categories[-1]}_train_lmdb")][b"key1"] = b"damaged"
    (tmp_path / f"{categories[-1]}_train_lmdb" / "data.mdb").write_bytes(b"changed")
    with pytest.raises(BadInput, match=rf"files of lsun.*{categories[-1]}_train_lmdb: key1 \(.*fetch it again"):
        LSUN("..", categories, resolution=8).setup()


def test_lsun_refuses(tmp_path, monkeypatch):
    for options, message in (
        ({"categories": []}, "categories are"),
        ({"categories": ["tower", "tower"]}, "different"),
        ({"max_images": 0}, "max_images is 0"),
    ):
        with pytest.raises(BadInput, match=message):
            LSUN(str(tmp_path), **options)
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(BadInput, match="lsun-bedroom needs a package: python -m pip install lmdb"):
        LSUN(str(tmp_path)).setup()


TORCHVISION = ["cifar10", "cifar100", "stl10", "svhn", "fashion_mnist", "celeba", "lsun"]
FIRST_FILES = [
    "cifar-10-batches-py/data_batch_1",
    "cifar-100-python/train",
    "stl10_binary/train_X.bin",
    "train_32x32.mat",
    "FashionMNIST/raw/train-images-idx3-ubyte",
    "celeba/list_attr_celeba.txt",
    "bedroom_train_lmdb/data.mdb",
]


@pytest.mark.parametrize(("name", "file"), list(zip(TORCHVISION, FIRST_FILES, strict=True)))
def test_a_data_set_that_is_not_there(tmp_path, name, file, request):
    if name == "lsun":
        databases = request.getfixturevalue("lmdb")
        assert databases == {}
    for root, message in (
        (tmp_path / "none", f"there is no folder .*none to read {name}.*looked for {file}"),
        (tmp_path, rf"does not hold {name}.*\(missing: {file}"),
    ):
        data = DATA[name](root=str(root))
        data.prepare_data() if name not in ("celeba", "lsun") else None  # which decode here
        with pytest.raises(BadInput, match=message) as error:
            data.setup()
        assert "\n" not in str(error.value)
        assert ("--data.download true" in str(error.value)) == (name != "lsun")
        assert "--data.root DIR" in str(error.value)


def test_a_damaged_file_is_named(tmp_path):
    data = CIFAR100(str(tmp_path))
    write_cifar(tmp_path, data.reader, "fine_labels")
    with pytest.raises(BadInput, match="of another checksum than the published one: cifar-100-python/train, cifar-100"):
        data.setup()


def test_files_that_torchvision_cannot_read(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (folder / f"{split}-{kind}-ubyte").write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"fashion_mnist in .* cannot be read \(.*looked for FashionMNIST/raw/train-im"):
        FashionMNIST(str(tmp_path)).setup()


@pytest.mark.parametrize("name", [name for name in TORCHVISION if name != "lsun"])
def test_a_download_that_fails(tmp_path, monkeypatch, name):
    from torchvision.datasets import celeba, cifar, mnist, stl10, svhn

    def fails(*args, **options):
        raise URLError("no network")

    for module in (cifar, stl10, mnist):
        monkeypatch.setattr(module, "download_and_extract_archive", fails)
    monkeypatch.setattr(svhn, "download_url", fails)
    monkeypatch.setattr(celeba, "download_file_from_google_drive", fails)
    data = DATA[name](root=str(tmp_path / "data"), download=True)
    with pytest.raises(BadInput, match=rf"{name} cannot be downloaded from .*no network.*unpack it in .*data; looked"):
        data.prepare_data()
    # Without being asked to it does not try.
    with pytest.raises(BadInput, match=f"there is no folder .* to read {name}|does not hold {name}"):
        DATA[name](root=str(tmp_path / "data")).setup()


def test_download_fetches_what_is_missing(tmp_path, any_checksum, monkeypatch):
    from torchvision.datasets import cifar

    fetched = []

    def fetch(url, root, **options):
        fetched.append(url)
        write_cifar(tmp_path, cifar.CIFAR10, "labels")

    monkeypatch.setattr(cifar, "download_and_extract_archive", fetch)
    data = CIFAR10(str(tmp_path), download=True)
    data.prepare_data()
    data.setup()
    assert fetched == [cifar.CIFAR10.url] and len(data.train_set) == 15
